"""Makes aiokafka close a TLS connection in time.

A broker reads nothing while it holds back the response to a fetch, so it does not answer the end of a TLS connection
either. uvloop then waits for 30 s, which is longer than a stop may take. aiokafka has failed all requests of the
connection by then, so nothing is lost with it.
"""

from typing import Any

from aiokafka.conn import AIOKafkaConnection

ABORT_SECONDS = 0.1
_close = AIOKafkaConnection.close


def _close_in_time(self: Any, reason: Any = None, exc: Any = None) -> Any:
    writer = self._writer
    closed = _close(self, reason, exc)
    if writer is not None and self._security_protocol in ("SSL", "SASL_SSL"):
        self._loop.call_later(ABORT_SECONDS, writer.transport.abort)
    return closed


def install() -> None:
    """Let all TLS connections of this process end within `ABORT_SECONDS` after they are closed."""
    AIOKafkaConnection.close = _close_in_time
