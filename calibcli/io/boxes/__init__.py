"""Detections and ground truth: COCO JSON and tables of boxes."""
