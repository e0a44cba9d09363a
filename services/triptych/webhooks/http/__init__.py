"""The HTTP client that posts deliveries."""
