"""Other people's tools read the contract: `make test-contracts` runs these tests, which need Node.js, Java and Go."""
