"""Access to Kafka: clients, consuming, publishing and reading."""
