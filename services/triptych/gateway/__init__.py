"""The HTTP gateway: serves the Wix Pro Gallery REST contract by sending commands and reading views."""
