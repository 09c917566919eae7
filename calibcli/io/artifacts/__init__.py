"""The JSON artifacts, their schemas, and the project file."""
