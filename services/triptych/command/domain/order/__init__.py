"""The order of items, without I/O: sort orders, neighbours, moves and rebalancing."""
