"""Tests of the documentation site, which `make test-docs` runs: it needs packages of its own."""
