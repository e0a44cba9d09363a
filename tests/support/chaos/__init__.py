"""A workload, faults, and a judge of what was observed from outside (`make chaos`)."""
