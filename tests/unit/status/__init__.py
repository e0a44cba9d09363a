"""Tests of what is reported about an installation."""
