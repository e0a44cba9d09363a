"""What other people's tools read of the contract, and how they are run."""
