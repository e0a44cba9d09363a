"""Between records of Kafka and the models of the contract."""
