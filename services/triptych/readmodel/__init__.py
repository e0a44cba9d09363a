"""Documents and queries of the views; written by the projector, read by the gateway."""
