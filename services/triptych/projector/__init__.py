"""The projector: joins item events to their galleries, into views and a compacted topic."""
