"""The joined topic: encodes its records, publishes them, and audits the topic."""
