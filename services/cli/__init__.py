"""The `triptych` command line."""
