"""Compares the views and the join with the write model, and rebuilds them."""
