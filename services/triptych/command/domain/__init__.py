"""What commands do, without I/O."""
