"""Carries out writes: sends the command, and waits for its reply and the read model (docs/architecture/gateway.md)."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from triptych.contract.codec.envelope import CommandEnvelope, encode_command, gallery_id_of
from triptych.contract.commands import CommandData, CreateItems, command_name
from triptych.contract.replies import Reply
from triptych.contract.sizes import COMMAND_BYTES_MAX, record_bytes
from triptych.contract.topics import Topics
from triptych.gateway.http.errors import RETRY_AFTER, ApplicationFailure, HttpFailure
from triptych.gateway.settings import GatewaySettings
from triptych.gateway.writing.command_sender import CommandSender, TooLarge
from triptych.gateway.writing.log_fields import named_in_log
from triptych.gateway.writing.read_your_writes import (
    CONSISTENT_HEADER,
    GalleryWaiter,
    GalleryWaiters,
    Position,
    format_positions,
    wait_until_all_shown,
    wait_until_shown,
)
from triptych.gateway.writing.rejections import Rename, failure_of, key_reused, raise_if_fails_all, same_path
from triptych.gateway.writing.replies import ReplyWaiters
from triptych.gateway.writing.spans import in_its_span, send_span
from triptych.gateway.writing.wait_metrics import TIMEOUT, observe_reply, observe_visibility
from triptych.gateway.writing.write_request import WriteRequest
from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.monitor import KafkaMonitor
from triptych.kit.logs.loggers import get_logger
from triptych.kit.process.stopping import is_stopping
from triptych.readmodel.queries import Views

log = get_logger(__name__)

COMMAND_ID_HEADER = "X-Triptych-Command-Id"
"""Present if the outcome is open: a request that is repeated with this id as `Idempotency-Key` takes effect once."""

POLL_VIEW_AFTER_SECONDS = 0.2
"""About how long a write waits for its notice before it queries the read model; the notice usually arrives by then."""


@dataclass(frozen=True, slots=True)
class Written:
    """A write that has happened.

    Attributes:
        position: the gallery and its sequence after the write.
        item_ids: ids of the items that the write created, changed or deleted; empty after a large write.
        headers: headers of the response.
        command_id: the id of its command.
        is_shown: whether the read model shows the write. Otherwise the write model has it (`writing.unshown`).
        items: some of these items as the read model has them, by id.
    """

    position: Position
    item_ids: tuple[str, ...]
    headers: dict[str, str]
    command_id: str
    is_shown: bool
    items: Mapping[str, Mapping[str, Any]]

    def not_shown(self) -> HttpFailure:
        """The failure when neither the read model nor the write model has the content of the response."""
        return HttpFailure(504, {COMMAND_ID_HEADER: self.command_id, **self.headers})


class Writes:
    """Sends commands and waits, up to the time limits of the settings, until the read model shows their effect."""

    def __init__(
        self,
        settings: GatewaySettings,
        topics: Topics,
        reply_topic: str,
        sender: CommandSender,
        kafka_monitor: KafkaMonitor,
        replies: ReplyWaiters,
        gallery_waiters: GalleryWaiters,
        views: Views,
    ) -> None:
        self._topics = topics
        self.reply_topic = reply_topic
        self._sender = sender
        self._kafka_monitor = kafka_monitor
        self.replies = replies
        self._gallery_waiters = gallery_waiters
        self._views = views
        # The publisher has its own deadline; this one also covers finding a broker.
        self._publish_seconds = 2 * settings.gateway_publish_timeout.total_seconds()
        self._reply_seconds = settings.gateway_reply_timeout.total_seconds()
        self._view_seconds = settings.gateway_view_timeout.total_seconds()

    async def perform(self, write: WriteRequest, data: CommandData, rename: Rename = same_path) -> Written:
        """Carry out a command.

        Args:
            write: the sender, identity and conditions of the write.
            data: the data of the command.
            rename: from field paths in the command to field paths in the REST request.

        Raises:
            HttpFailure: the command was rejected, or its outcome is not known in time.
        """
        envelope = self._envelope(write, data)
        gallery_id = gallery_id_of(envelope)
        # Waiting begins before the command is sent: the reply and the notice may arrive at once, and in any order.
        with self._gallery_waiters.watch(write.site_id, gallery_id) as waiter:
            reply = await self._send(envelope)
            if reply.error is not None:
                raise failure_of(reply.error, rename)
            if reply.gallery_id is None or reply.sequence is None:
                raise key_reused()
            # An earlier version that carried out this creation may have derived another id for the gallery.
            if reply.gallery_id != gallery_id and data.gallery_id is not None:
                raise key_reused()
            position = Position(reply.gallery_id, reply.sequence)
            is_shown = await self._await_view(write, waiter, position)
            return Written(
                position=position,
                item_ids=tuple(reply.item_ids or ()),
                headers=await self._headers(write, position),
                command_id=write.command_id,
                is_shown=is_shown,
                # The last notice may be about an earlier write, if a query of the read model has ended the wait.
                items={item["id"]: item for item in waiter.items} if waiter.sequence >= position.sequence else {},
            )

    async def perform_each(
        self, write: WriteRequest, gallery_id: str, commands: Mapping[int, CreateItems]
    ) -> tuple[dict[int, Reply | HttpFailure], dict[str, str]]:
        """Carry out the commands of one write to one gallery, in their order, each with an outcome of its own.

        The first command has the idempotency key and the condition of the write. If the client chose the key, or there
        is a condition, the others are sent after the first one's reply. That reply says whether the key was used for
        another request, and whether the gallery has an expected sequence.

        Returns:
            The outcome of each command by its number, and the headers of the response. The read model shows the
            accepted commands, unless it did not catch up in time.

        Raises:
            HttpFailure: the write as a whole is refused, or no command's outcome is known in time.
        """
        envelopes = {
            number: self._envelope(write.numbered(number) if index else write, data)
            for index, (number, data) in enumerate(commands.items())
        }
        with self._gallery_waiters.watch(write.site_id, gallery_id) as waiter:
            outcomes: dict[int, Reply | HttpFailure] = {}
            if envelopes and (write.has_client_key or write.expected is not None):
                first = next(iter(envelopes))
                outcomes[first] = await self._send(envelopes[first])
                raise_if_fails_all(outcomes[first])
            unsent = [number for number in envelopes if number not in outcomes]
            sent = await asyncio.gather(*(self._send_or_failure(envelopes[number]) for number in unsent))
            outcomes |= zip(unsent, sent, strict=True)
            results = list(outcomes.values())
            faults = [result for result in results if isinstance(result, HttpFailure) and result.status >= 500]
            if faults and len(faults) == len(results):
                raise HttpFailure(faults[0].status, {**faults[0].headers, COMMAND_ID_HEADER: write.command_id})
            reached = [reply.sequence for reply in results if isinstance(reply, Reply) and reply.sequence is not None]
            if not reached:
                return outcomes, {}
            position = Position(gallery_id, max(reached))
            await self._await_view(write, waiter, position)
            return outcomes, await self._headers(write, position)

    def watch(self, site_id: str, gallery_id: str) -> AbstractContextManager[GalleryWaiter]:
        """Watch a gallery for `is_shown`; enter before sending the first command."""
        return self._gallery_waiters.watch(site_id, gallery_id)

    async def send_one(
        self, write: WriteRequest, data: CommandData, published: asyncio.Future[bool] | None = None
    ) -> Reply | HttpFailure:
        """Send one of several commands of a request, and wait for its outcome.

        `published` tells whether Kafka has acknowledged the command, before its reply is there.
        """
        try:
            return await self._send(self._envelope(write, data), published)
        except HttpFailure as failure:
            return failure
        finally:
            if published is not None and not published.done():
                published.set_result(False)

    async def is_shown(self, write: WriteRequest, waiter: GalleryWaiter, position: Position) -> bool:
        """Whether the read model shows a position, before the time limit of a write."""
        return await self._await_view(write, waiter, position)

    def _envelope(self, write: WriteRequest, data: CommandData) -> CommandEnvelope:
        return CommandEnvelope(
            command_id=write.command_id,
            site_id=write.site_id,
            name=command_name(data),
            data=data,
            reply_to=self.reply_topic,
            correlation_id=write.correlation_id,
            traceparent=write.traceparent,
            source=write.source,
            request=write.request,
            tracestate=write.tracestate,
        )

    async def _send_or_failure(self, envelope: CommandEnvelope) -> Reply | HttpFailure:
        try:
            return await self._send(envelope)
        except HttpFailure as failure:
            return failure

    async def _send(self, envelope: CommandEnvelope, published: asyncio.Future[bool] | None = None) -> Reply:
        with self.replies.expect(envelope.correlation_id) as future:
            with send_span(self._topics.commands, envelope) as span:
                await self._publish(in_its_span(envelope, span))
            if published is not None and not published.done():
                published.set_result(True)
            started = time.perf_counter()
            try:
                async with asyncio.timeout(self._reply_seconds):
                    reply = await future
                observe_reply(reply.outcome, time.perf_counter() - started)
                return reply
            except TimeoutError:
                observe_reply(TIMEOUT, time.perf_counter() - started)
                log.warning("no reply came in time", gallery_id=gallery_id_of(envelope), **named_in_log(envelope))
                raise HttpFailure(504, {COMMAND_ID_HEADER: envelope.command_id}) from None
            except asyncio.CancelledError:
                if is_stopping():  # the command is on the topic, and will be carried out
                    raise HttpFailure(504, {COMMAND_ID_HEADER: envelope.command_id}) from None
                raise

    async def _publish(self, envelope: CommandEnvelope) -> None:
        message = encode_command(envelope)
        try:
            if record_bytes(*message) > COMMAND_BYTES_MAX:
                raise TooLarge
            async with self._kafka_monitor.fail_fast(self._publish_seconds):
                await self._sender.send(self._topics.commands, message)
        except TooLarge:
            raise ApplicationFailure(413, "RESOURCE_EXHAUSTED", "the request is too large for one message") from None
        except TransientFailure as error:
            log.warning(
                "Kafka did not take a command",
                gallery_id=gallery_id_of(envelope),
                error=error,
                **named_in_log(envelope),
            )
            raise HttpFailure(503, {**RETRY_AFTER, COMMAND_ID_HEADER: envelope.command_id}) from None

    async def _await_view(self, write: WriteRequest, waiter: GalleryWaiter, position: Position) -> bool:
        started = time.perf_counter()
        is_shown = await wait_until_shown(
            self._views, waiter, write.site_id, position, self._view_seconds, POLL_VIEW_AFTER_SECONDS
        )
        observe_visibility(time.perf_counter() - started, is_shown=is_shown)
        if not is_shown:
            log.warning(
                "the read model does not show a write in time",
                gallery_id=position.gallery_id,
                sequence=position.sequence,
                **named_in_log(write),
            )
        return is_shown

    async def _headers(self, write: WriteRequest, position: Position) -> dict[str, str]:
        """The header with this position, and positions of earlier writes that the read model does not show yet."""
        not_shown = [
            earlier
            for earlier in write.earlier
            if earlier.gallery_id != position.gallery_id
            and not await wait_until_all_shown(self._views, self._gallery_waiters, write.site_id, [earlier], 0)
        ]
        return {CONSISTENT_HEADER: format_positions(position, not_shown)}
