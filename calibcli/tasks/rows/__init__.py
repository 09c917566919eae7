"""Rows of a table: binary, multi-class and multi-label scores as pairs (score, outcome)."""
