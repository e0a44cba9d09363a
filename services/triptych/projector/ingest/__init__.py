"""Brings events from the topic into the views: batches, expired events, repairs and republication."""
