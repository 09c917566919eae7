"""Results as rows of text, one module a part of a result."""
