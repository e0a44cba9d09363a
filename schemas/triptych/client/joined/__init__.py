"""Assembles galleries from the records of the joined topic, and stores them."""
