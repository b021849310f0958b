"""Inputs: bytes of sources that others write, followed without losing or doubling any."""
