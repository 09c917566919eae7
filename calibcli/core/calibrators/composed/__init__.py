"""Maps that are made of others: of slices, groups and several models."""
