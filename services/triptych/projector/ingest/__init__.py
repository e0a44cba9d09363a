"""From the events topic to changed views: batches, events that expired, repairs."""
