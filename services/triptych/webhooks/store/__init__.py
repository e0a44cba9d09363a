"""What listeners and deliveries are in MongoDB; the only writer of their collections."""
