"""The endpoints, their parameters, and how the OpenAPI document describes them."""
