"""Publishes records and dead letters, measured before they are sent."""
