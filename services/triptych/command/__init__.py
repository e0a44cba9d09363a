"""The command service: the only writer of galleries and items."""
