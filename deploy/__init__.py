"""Everything that runs Triptych somewhere."""
