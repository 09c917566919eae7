"""Regions of an image: connected parts, overlap, and the search over their rules."""
