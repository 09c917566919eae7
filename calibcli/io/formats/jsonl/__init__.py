"""JSON Lines: one object a line, parsed by Arrow, and by Python where values are of mixed types."""
