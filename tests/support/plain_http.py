"""What an httpx client of a server on this machine is made with."""

import ssl

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""As `verify` of a client that speaks plain HTTP: reading the certificates of the system takes each client 25 ms."""
