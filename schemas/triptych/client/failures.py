"""Owns the failures that all parts of the client share."""


class KafkaUnavailable(Exception):
    """Kafka did not answer by the deadline, or has no topics of Triptych."""
