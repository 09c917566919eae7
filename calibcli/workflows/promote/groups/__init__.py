"""Promotion of maps and cut-offs by group."""
