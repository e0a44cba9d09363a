"""The read model: documents and queries of the views, which the projector writes and the gateway reads."""
