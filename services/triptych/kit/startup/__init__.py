"""Starts and stops a process, and creates its topics and indexes."""
