"""The administration of listeners, shared by the gateway and the command line."""
