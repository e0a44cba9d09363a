"""Publishes records and dead letters, and checks their size before they are sent."""
