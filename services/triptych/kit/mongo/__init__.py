"""Everything that speaks to MongoDB."""
