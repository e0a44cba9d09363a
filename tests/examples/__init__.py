"""Tests of examples/, which `make test-examples` runs: they need compilers, and packages of other languages."""
