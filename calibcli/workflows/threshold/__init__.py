"""`threshold`: choose the cut-off."""
