"""A calibrator as an expression of another language."""
