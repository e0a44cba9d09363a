"""What builds the documentation site (decision 48)."""
