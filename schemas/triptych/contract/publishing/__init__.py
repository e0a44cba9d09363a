"""The published form of the contract: JSON Schemas, AsyncAPI, and what would break it."""
