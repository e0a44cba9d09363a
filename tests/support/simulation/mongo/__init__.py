"""A model of MongoDB behind the calls of its asynchronous driver that the simulated services make."""
