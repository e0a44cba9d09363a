"""Makes aiokafka notice that a broker refuses a token.

A broker refuses a token by an error message in its response, and waits for a reply of one byte (RFC 7628, section
3.2.3). aiokafka takes every response for success. Its next request then ends the connection, and nobody learns why.
"""

from typing import Any

from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator

_ACKNOWLEDGEMENT = b"\x01"
"""The reply to an error message. The broker then ends the exchange with an error code and the message."""


class _Authenticator(OAuthAuthenticator):  # type: ignore[misc]
    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        """The bytes to send next; None at the end of the exchange."""
        if payload:
            return _ACKNOWLEDGEMENT, True
        found: tuple[bytes, bool] | None = await super().step(payload)
        return found


def _authenticator(self: Any) -> _Authenticator:
    return _Authenticator(sasl_oauth_token_provider=self._sasl_oauth_token_provider)


def install() -> None:
    """Let all connections of this process notice refusals."""
    AIOKafkaConnection.authenticator_oauth = _authenticator
