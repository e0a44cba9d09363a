"""Listeners, deliveries and signatures, without I/O."""
