"""Parts that results of several commands hold."""
