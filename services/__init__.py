"""The processes of Triptych, one package each, and the machinery (`kit`) they share."""
