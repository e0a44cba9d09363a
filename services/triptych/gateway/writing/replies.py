"""Matches replies to the requests that wait for them."""

import asyncio
from contextlib import AbstractContextManager

from pydantic import ValidationError

from triptych.contract.replies import Reply
from triptych.gateway.writing.waiters import Waiters
from triptych.kit.logs.loggers import get_logger

log = get_logger(__name__)


class ReplyWaiters(Waiters[bytes, asyncio.Future[Reply]]):
    """The requests that wait for a reply, by correlation id.

    Every gateway reads all replies and ignores those to other gateways.
    """

    def expect(self, correlation_id: str) -> AbstractContextManager[asyncio.Future[Reply]]:
        """A future of the reply; enter before sending the command. The request stops waiting when the block ends."""
        return self.waiting(correlation_id.encode(), asyncio.get_running_loop().create_future())

    def receive(self, key: bytes | None, value: bytes | None) -> None:
        """Process a record of the replies topic."""
        for future in self.waiting_for(key or b""):
            if future.done():
                continue
            try:
                future.set_result(Reply.model_validate_json(value or b""))
            except ValidationError:
                log.error("the reply to a waiting request cannot be read", key=key)
