"""Matches replies to the requests that wait for them."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from triptych.contract.replies import Reply

log = logging.getLogger(__name__)


class ReplyWaiters:
    """The requests that wait for a reply, by correlation id.

    Every gateway reads all replies and ignores those to other gateways.
    """

    def __init__(self) -> None:
        self._waiting: dict[bytes, asyncio.Future[Reply]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @contextmanager
    def expect(self, correlation_id: str) -> Iterator[asyncio.Future[Reply]]:
        """A future of the reply; enter before sending the command. The request stops waiting when the block ends."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        key = correlation_id.encode()
        self._waiting[key] = future
        try:
            yield future
        finally:
            del self._waiting[key]

    def receive(self, key: bytes | None, value: bytes | None) -> None:
        """Process a record of the replies topic."""
        future = self._waiting.get(key or b"")
        if future is None or future.done():
            return
        try:
            future.set_result(Reply.model_validate_json(value or b""))
        except ValidationError:
            log.error("the reply to a waiting request cannot be read")
