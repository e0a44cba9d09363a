"""Matches replies to the requests that wait for them, and receives the records of this gateway's reply topic."""

import asyncio
from contextlib import AbstractContextManager

from pydantic import ValidationError

from triptych.contract.codec.notices import NOTICE_TYPE
from triptych.contract.replies import Reply
from triptych.gateway.live.feed import FeedRecord
from triptych.gateway.writing.read_your_writes import GalleryWaiters
from triptych.gateway.writing.waiters import Waiters
from triptych.kit.logs.loggers import get_logger

log = get_logger(__name__)


class ReplyWaiters(Waiters[bytes, asyncio.Future[Reply]]):
    """The requests that wait for a reply, by correlation id.

    Replies to other gateways come too if they share the topic, and are ignored.
    """

    def expect(self, correlation_id: str) -> AbstractContextManager[asyncio.Future[Reply]]:
        """A future of the reply; enter before sending the command. The request stops waiting when the block ends."""
        return self.waiting(correlation_id.encode(), asyncio.get_running_loop().create_future())

    def receive(self, key: bytes | None, value: bytes | None) -> None:
        """Process a reply."""
        for future in self.waiting_for(key or b""):
            if future.done():
                continue
            try:
                future.set_result(Reply.model_validate_json(value or b""))
            except ValidationError:
                log.error("the reply to a waiting request cannot be read", key=key)


class ReplyTopic:
    """Hands each record of the gateway's reply topic to those that wait for it: it is a reply or a notice."""

    def __init__(self, replies: ReplyWaiters, gallery_waiters: GalleryWaiters) -> None:
        self._replies = replies
        self._gallery_waiters = gallery_waiters

    def receive(self, record: FeedRecord) -> None:
        """Process a record."""
        if ("ce_type", NOTICE_TYPE) in record.headers:
            self._gallery_waiters.receive(record.value)
        else:
            self._replies.receive(record.key, record.value)
