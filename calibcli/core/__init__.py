"""The statistics: arrays in, dataclasses out. No files, clock, printing or command line."""
