"""The HTTP client that posts deliveries to listeners."""
