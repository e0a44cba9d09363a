"""Names the collections in which the relay's processes renew what shows that they run, and which shards they own."""

WORKERS = "webhook_workers"
"""A row for each process, with the end of its lease on the server's clock (`until`)."""
SHARDS = "webhook_shards"
"""A row for each shard that a process owns."""
