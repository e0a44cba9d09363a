"""Consumes topics in batches as a member of a group, and measures the lag."""
