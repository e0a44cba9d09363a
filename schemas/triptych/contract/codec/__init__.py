"""Codecs that translate between Kafka records and the models of the contract."""
