"""The webhook relay: plans a delivery per event and listener, durably, and sends until each has ended."""
