"""Writes: a command to Kafka, its reply, and the read model that shows it."""
