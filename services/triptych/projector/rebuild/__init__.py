"""Compares views and join with the write model, and makes them anew."""
