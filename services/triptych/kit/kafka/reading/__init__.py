"""Reads records so that none is skipped silently, whatever the broker has stored."""
