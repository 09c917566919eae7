"""What only detections have: average precision, LRP, calibration by position and size."""
