"""`triptych export` and `triptych import`: galleries with their items as NDJSON."""
