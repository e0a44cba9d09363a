"""The contract as pydantic models; what producers and consumers of Triptych may rely on."""
