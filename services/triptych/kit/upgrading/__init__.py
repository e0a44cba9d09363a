"""Upgrades an installation: its schema version, the processes that use it, and migrations of what is stored."""
