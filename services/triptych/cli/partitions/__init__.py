"""`triptych partitions`: adds partitions to live topics (docs/operations/partitions.md, decision 40)."""
