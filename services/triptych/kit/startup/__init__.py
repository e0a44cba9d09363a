"""Starts and ends a process, and creates what it needs."""
