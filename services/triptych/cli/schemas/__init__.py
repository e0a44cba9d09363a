"""`triptych schemas`: registers the JSON Schemas of the contract in a schema registry."""
