"""How an installation is: lag, outbox, jobs, deliveries, dead letters; for the gateway and the command line."""
