"""A simulated projector: plans of events and faults, carried out in memory or on real servers."""
