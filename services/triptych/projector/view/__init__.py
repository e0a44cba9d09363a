"""The views: folds events and snapshots into them, and stores them."""
