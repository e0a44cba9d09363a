"""The webhook relay: stores a delivery for each event and listener, and sends each delivery until it has ended."""
