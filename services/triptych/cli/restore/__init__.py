"""`triptych restore-check` and `triptych restore-repair`: what a restored backup would do, and its repair."""
