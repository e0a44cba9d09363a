"""Reads records so that none is skipped without a word, whatever the broker holds."""
