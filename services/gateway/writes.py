"""Carries out writes: a command to Kafka, its reply back, and the read model caught up with it (design, section 5)."""

import asyncio
import logging
from dataclasses import dataclass

from schemas.commands import CommandData, command_name
from schemas.envelope import CommandEnvelope, encode_command
from schemas.identity import gallery_id_of
from schemas.replies import Reply
from schemas.topics import Topics
from services.gateway.consistency import CONSISTENT_HEADER, Heads, Position, Watch, wait_until_shown
from services.gateway.errors import RETRY_AFTER, Failure, Refused
from services.gateway.rejections import Rename, failure_of, same
from services.gateway.replies import Replies
from services.gateway.sender import Sender, TooLarge
from services.gateway.settings import GatewaySettings
from services.kit.failures import TransientFailure
from services.readmodel.queries import Views

log = logging.getLogger(__name__)

COMMAND_ID_HEADER = "X-Triptych-Command-Id"
"""On answers that leave open whether the write happened: sent again as `Idempotency-Key`, it cannot happen twice."""


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants a write, and how it is recognised.

    Attributes:
        site_id: the site it is limited to.
        command_id: the idempotency key.
        correlation_id: unique to this request.
        traceparent: W3C trace context of the request, if it has one.
    """

    site_id: str
    command_id: str
    correlation_id: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A write that every reader sees: where the gallery stands after it, and the ids of the items it created."""

    position: Position
    item_ids: tuple[str, ...]

    @property
    def headers(self) -> dict[str, str]:
        """What the answer tells about it."""
        return {CONSISTENT_HEADER: str(self.position)}


class Writes:
    """Sends commands and waits, within bounds, until their effect is visible."""

    def __init__(
        self,
        settings: GatewaySettings,
        topics: Topics,
        sender: Sender,
        replies: Replies,
        heads: Heads,
        views: Views,
    ) -> None:
        self._topics = topics
        self._sender = sender
        self.replies = replies
        self._heads = heads
        self._views = views
        # The publisher has a deadline of its own; this one also covers finding a broker.
        self._publish_seconds = 2 * settings.gateway_publish_timeout.total_seconds()
        self._reply_seconds = settings.gateway_reply_timeout.total_seconds()
        self._view_seconds = settings.gateway_view_timeout.total_seconds()

    async def perform(self, order: Order, data: CommandData, rename: Rename = same) -> Written:
        """Carry out a command.

        Args:
            order: who wants it.
            data: what is wanted.
            rename: from paths in the command to paths in the REST request.

        Raises:
            Failure: it was rejected, or what became of it is not known in time.
        """
        envelope = CommandEnvelope(
            command_id=order.command_id,
            site_id=order.site_id,
            name=command_name(data),
            data=data,
            reply_to=self._topics.replies,
            correlation_id=order.correlation_id,
            traceparent=order.traceparent,
        )
        gallery_id = gallery_id_of(envelope)
        # Listening begins before the command leaves: its effects may be heard at once, and in any order.
        with self._heads.watch(gallery_id) as watch, self.replies.expect(order.correlation_id) as future:
            await self._publish(envelope)
            try:
                reply = await asyncio.wait_for(future, self._reply_seconds)
            except TimeoutError:
                log.warning("no reply to command %s in time", order.command_id)
                raise Failure(504, {COMMAND_ID_HEADER: order.command_id}) from None
            written = _written(reply, gallery_id, rename)
            await self._await_view(order, watch, written)
        return written

    async def _publish(self, envelope: CommandEnvelope) -> None:
        try:
            async with asyncio.timeout(self._publish_seconds):
                await self._sender.send(self._topics.commands, encode_command(envelope))
        except TooLarge:
            raise Refused(413, "RESOURCE_EXHAUSTED", "the request is too large for one message") from None
        except (TransientFailure, TimeoutError) as error:
            log.warning("Kafka did not take command %s: %s", envelope.command_id, error)
            raise Failure(503, {**RETRY_AFTER, COMMAND_ID_HEADER: envelope.command_id}) from None

    async def _await_view(self, order: Order, watch: Watch, written: Written) -> None:
        if not await wait_until_shown(self._views, watch, order.site_id, written.position, self._view_seconds):
            log.warning("the read model does not show command %s in time", order.command_id)
            raise Failure(504, {COMMAND_ID_HEADER: order.command_id, **written.headers})


def _written(reply: Reply, gallery_id: str, rename: Rename) -> Written:
    """What an accepted reply tells; raises Failure for a rejected one."""
    if reply.error is not None:
        raise failure_of(reply.error, rename)
    if reply.gallery_id != gallery_id or reply.sequence is None:
        # The command id was used before, for a gallery other than this one.
        raise Refused(409, "ALREADY_EXISTS", "the idempotency key belongs to another request")
    return Written(Position(gallery_id, reply.sequence), tuple(reply.item_ids or ()))
