"""A deterministic simulation: the services' own code on models of Kafka and MongoDB, in virtual time, from a seed."""
