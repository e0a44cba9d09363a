"""The HTTP gateway: the Wix Pro Gallery REST contract in front of commands and views."""
