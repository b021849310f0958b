"""connlog: ships Coder's connection logs, whole and in order, to where they are searched."""

__version__ = "0.1.0"
