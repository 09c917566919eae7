"""Which calibrator to take, and for whom: selection by cross-fitting, slices, several models."""
