"""Detection in each command."""
