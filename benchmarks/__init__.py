"""Figures that the documentation quotes, made again: `python -m benchmarks.NAME`."""
