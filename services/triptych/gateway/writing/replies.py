"""Matches replies to the requests that wait for them."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from triptych.contract.replies import Reply

log = logging.getLogger(__name__)


class ReplyWaiters:
    """The requests that wait for a reply, by correlation id. Every gateway hears all replies and keeps its own."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, asyncio.Future[Reply]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @contextmanager
    def expect(self, correlation_id: str) -> Iterator[asyncio.Future[Reply]]:
        """The reply to come; enter before sending the command. Nothing is left behind, however the block ends."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        key = correlation_id.encode()
        self._waiting[key] = future
        try:
            yield future
        finally:
            del self._waiting[key]

    def hear(self, key: bytes | None, value: bytes | None) -> None:
        """Take a record of the replies topic."""
        future = self._waiting.get(key or b"")
        if future is None or future.done():
            return
        try:
            future.set_result(Reply.model_validate_json(value or b""))
        except ValidationError:
            log.error("a reply to a request of ours cannot be read")
