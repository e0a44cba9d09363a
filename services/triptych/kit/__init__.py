"""Infrastructure that knows nothing of galleries: Kafka, MongoDB, dead letters, health, start and stop, settings."""
