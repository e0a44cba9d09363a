"""Makes a write model that is older than the topics safe: carries lost commands out, and raises sequences."""
