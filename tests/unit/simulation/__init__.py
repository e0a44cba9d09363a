"""The deterministic simulation: its replay, what it finds, and its models."""
