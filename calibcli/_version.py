"""The version, written down once: the build, the command line and the artifacts read it here."""

__version__ = "0.1.0"
