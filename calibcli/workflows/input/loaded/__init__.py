"""Artifacts in use: calibrators and thresholds as they are read from their JSON."""
