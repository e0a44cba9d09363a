"""`triptych status`: shows on one screen how an installation is."""
