"""What the command service keeps in MongoDB."""
