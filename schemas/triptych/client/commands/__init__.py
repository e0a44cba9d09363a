"""Sends commands over Kafka and returns their replies; the extra `client` installs what it needs."""
