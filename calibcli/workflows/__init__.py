"""The five commands as functions: what the command line and the Python API both call."""
