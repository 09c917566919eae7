"""What each task adds: batches of rows in, pairs (score, outcome) out, counted in one pass."""
