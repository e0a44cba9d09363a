"""The contract as pydantic models: everything that producers and consumers of Triptych may rely on."""
