"""From scores to decisions: cut-offs, costs, guarantees, abstention, sets of classes."""
