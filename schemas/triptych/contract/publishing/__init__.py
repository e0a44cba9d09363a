"""The published form of the contract: JSON Schemas, the AsyncAPI document, and the check for breaking changes."""
