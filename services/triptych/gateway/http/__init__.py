"""HTTP as the gateway speaks it: bodies, failures, tags, and the bounds of answers; knows no endpoint."""
