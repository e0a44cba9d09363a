"""HTTP below the endpoints: request bodies, failures, entity tags, and the memory limit of responses."""
