"""The models of the simulation, compared with real servers."""
