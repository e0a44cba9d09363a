"""What a dead letter says, which ones are selected, and what a replay sends; without I/O."""
