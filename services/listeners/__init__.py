"""External listeners and what is delivered to them: shared by the gateway, which administers, and the relay."""
