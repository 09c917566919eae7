"""Segmentation: each pixel is a row, each image a unit; decided regions beside the pixels."""
