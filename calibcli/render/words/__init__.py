"""Sentences about results, and the names of figures."""
