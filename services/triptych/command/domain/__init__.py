"""Decides what commands do, without I/O."""
