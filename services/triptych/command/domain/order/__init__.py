"""The order of items, without I/O: places, moves, and room between them."""
