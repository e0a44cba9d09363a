"""The Helm chart: the names of settings in its schema, the manifests that it makes, and Kubernetes' schemas of them."""
