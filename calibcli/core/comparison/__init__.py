"""Two models, two times, or a model and what it promised."""
