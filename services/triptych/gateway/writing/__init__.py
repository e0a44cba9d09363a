"""Writes: sends a command to Kafka, and waits for its reply and until the read model shows the change."""
