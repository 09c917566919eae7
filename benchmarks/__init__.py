"""Figures that the documentation quotes, made again.

`python -m benchmarks` compares times and memory; `python -m benchmarks.NAME` makes other figures.
"""
