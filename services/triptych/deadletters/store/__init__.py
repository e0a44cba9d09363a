"""The dead-letter topics in Kafka, and the marks of handled dead letters in MongoDB."""
