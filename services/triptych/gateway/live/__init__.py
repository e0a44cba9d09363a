"""Live streams: what is published while this process runs, for whoever listens."""
