"""The history of galleries: documents and queries. The projector writes it, and other services read it."""
