"""`threshold` of several classes: their cut-offs, chosen together."""
