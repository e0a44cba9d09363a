"""Stores and loads what the command service keeps in MongoDB."""
