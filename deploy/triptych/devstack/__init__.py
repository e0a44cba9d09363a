"""Real Kafka and MongoDB on this machine, for `make up`, the tests and the benchmarks."""
