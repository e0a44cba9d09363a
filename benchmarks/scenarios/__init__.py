"""One module a scenario: each declares `SCENARIO`, and is found by being here."""
