"""Scores beside others: a second model, a reference, what has no labels."""
