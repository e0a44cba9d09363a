"""Runs real Kafka and MongoDB servers on this machine, for `make up`, the tests and the benchmarks."""
