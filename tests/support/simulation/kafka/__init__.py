"""A model of Kafka behind the producers, consumers and readers that the simulated services use."""
