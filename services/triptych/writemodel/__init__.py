"""The galleries and items that commands change: the command service writes them, other services only read them."""
