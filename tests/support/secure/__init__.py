"""Servers with certificates and users, for the tests of secure links."""
