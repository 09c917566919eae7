"""Typed results: what a command found, as frozen types that JSON, schemas and every format read."""
