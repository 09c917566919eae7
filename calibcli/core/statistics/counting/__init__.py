"""From pairs to counts by cell, in one pass that merges."""
