"""Consumes topics in batches as a member of a group, and measures how far behind it is."""
