"""`fit`: learn the correction on held-out data."""
