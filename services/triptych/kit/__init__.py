"""Machinery without the word gallery: batches, brokers, dead letters, health, lifecycle, MongoDB, settings."""
