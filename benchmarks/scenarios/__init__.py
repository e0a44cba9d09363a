"""The scenarios: one module for each, which declares `SCENARIO`. `benchmarks.catalogue` finds every module here."""
