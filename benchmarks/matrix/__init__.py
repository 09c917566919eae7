"""Every feature on every kind of score file: what acts, and what is refused for which reason."""
