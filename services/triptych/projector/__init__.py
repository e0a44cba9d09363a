"""The projector: folds events into views, and publishes the join of items and galleries to a compacted topic."""
