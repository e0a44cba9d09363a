"""Reads events as the contract's models, and recognises repeats and losses by their sequences."""
