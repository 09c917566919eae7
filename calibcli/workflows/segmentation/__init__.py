"""Segmentation beyond its pixels: structures, and the search for regions."""
