"""The rules of listeners, deliveries and signatures, without I/O."""
