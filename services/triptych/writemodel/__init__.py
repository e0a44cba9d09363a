"""The galleries and items that commands change: the command service writes them, others only compare with them."""
