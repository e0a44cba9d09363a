"""The official client accepts the relay's deliveries."""
