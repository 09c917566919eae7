"""`threshold` of decisions that are no cut-offs of a score: abstention, sets, costs of classes."""
