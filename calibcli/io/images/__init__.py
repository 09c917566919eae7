"""Stacks and folders of images as batches of pixels."""
