"""Special functions, scales and smoothing on arrays."""
