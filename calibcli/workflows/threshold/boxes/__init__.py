"""`threshold` of boxes: score and NMS IoU together."""
