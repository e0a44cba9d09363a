"""`triptych cluster`: runs a cluster on this machine, shows its state in one line, and kills parts of it."""
