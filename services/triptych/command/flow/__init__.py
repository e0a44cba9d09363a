"""Processes batches of commands: sort records, carry out commands, send replies; and runs jobs between the batches."""
