"""Promises about the mean of what units (patients, prompts, videos, images) have."""
