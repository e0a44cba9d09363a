"""The command service: the one writer of galleries and items."""
