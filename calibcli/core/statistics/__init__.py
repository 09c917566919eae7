"""Pairs (score, outcome) collapsed into cells: exact, mergeable, small."""
