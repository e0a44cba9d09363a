"""The relay process: plans deliveries from events, and sends them."""
