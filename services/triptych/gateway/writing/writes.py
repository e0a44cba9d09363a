"""Carries out writes: command, reply, and the read model caught up with it (docs/architecture/gateway.md)."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from triptych.contract.codec.envelope import CommandEnvelope, encode_command, gallery_id_of
from triptych.contract.commands import CommandData, CreateItems, command_name
from triptych.contract.replies import ErrorCode, Reply, ReplyError
from triptych.contract.sizes import COMMAND_BYTES_MAX, record_bytes
from triptych.contract.topics import Topics
from triptych.gateway.http.errors import RETRY_AFTER, ApplicationFailure, HttpFailure
from triptych.gateway.settings import GatewaySettings
from triptych.gateway.writing.command_sender import CommandSender, TooLarge
from triptych.gateway.writing.kafka_monitor import KafkaMonitor
from triptych.gateway.writing.read_your_writes import (
    CONSISTENT_HEADER,
    GalleryWaiter,
    GalleryWaiters,
    Position,
    format_positions,
    wait_until_all_shown,
    wait_until_shown,
)
from triptych.gateway.writing.rejections import Rename, failure_of, same
from triptych.gateway.writing.replies import ReplyWaiters
from triptych.gateway.writing.write_events import WriteEffect, WriteEvents
from triptych.kit.attribution import about
from triptych.kit.failures import TransientFailure
from triptych.readmodel.queries import Views

log = logging.getLogger(__name__)

COMMAND_ID_HEADER = "X-Triptych-Command-Id"
"""On answers that leave open whether the write happened: sent again as `Idempotency-Key`, it cannot happen twice."""


_FOR_ALL = (ErrorCode.IDEMPOTENCY_KEY_REUSED, ErrorCode.SEQUENCE_CONFLICT, ErrorCode.NOT_FOUND)
POLL_VIEW_AFTER_SECONDS = 0.2
"""How long the change of a write is waited for before the read model is asked: usually it is heard of by then."""


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Who wants a write, and how it is recognised.

    Attributes:
        site_id: the site it is limited to.
        source: of its commands.
        request: names the endpoint; two requests that differ in it are different, even if their commands are equal.
        command_id: the idempotency key.
        is_named: whether the client chose it, so that it may have been used before.
        correlation_id: unique to this request.
        traceparent, tracestate: W3C trace context of the request, if it has one.
        expected: sequences of which the gallery must have one for the write to happen; None if any will do.
        earlier: positions of earlier writes that the client carries along.
    """

    site_id: str
    source: str
    request: str
    command_id: str
    correlation_id: str
    is_named: bool = False
    traceparent: str | None = None
    expected: tuple[int, ...] | None = None
    earlier: tuple[Position, ...] = ()
    tracestate: str | None = None

    @property
    def expectation(self) -> dict[str, Any]:
        """What the command says about the sequences expected."""
        if self.expected is None:
            return {}
        if len(self.expected) == 1:
            return {"expected_sequence": self.expected[0]}
        return {"expected_sequences": self.expected}

    def part(self, index: int) -> "WriteRequest":
        """The order of one of several commands that make up the write; no client has its source, or can name its id."""
        return replace(
            self,
            source=f"{self.source}/parts",
            command_id=f"{self.command_id}/{index}",
            correlation_id=f"{self.correlation_id}/{index}",
        )


@dataclass(frozen=True, slots=True)
class Written:
    """A write that has happened.

    Attributes:
        position: where the gallery stands after it.
        item_ids: of the items that it created, changed or deleted; empty after large ones.
        headers: what the answer tells about it.
        command_id: of its command.
        is_shown: whether every reader sees it.
        echo: what its events told; nothing if the command had been carried out before, and perhaps nothing yet if it
            is shown.
        items: items that changed in the gallery meanwhile, by id, as readers see them. There may be more in the read
            model.
    """

    position: Position
    item_ids: tuple[str, ...]
    headers: dict[str, str]
    command_id: str
    is_shown: bool
    echo: WriteEffect
    items: dict[str, dict[str, Any]]

    def unseen(self) -> HttpFailure:
        """The answer when neither the read model nor the write's events tell what to answer."""
        return HttpFailure(504, {COMMAND_ID_HEADER: self.command_id, **self.headers})


class Writes:
    """Sends commands and waits, within bounds, until their effect is visible."""

    def __init__(
        self,
        settings: GatewaySettings,
        topics: Topics,
        sender: CommandSender,
        pulse: KafkaMonitor,
        replies: ReplyWaiters,
        echoes: WriteEvents,
        heads: GalleryWaiters,
        views: Views,
    ) -> None:
        self._topics = topics
        self._sender = sender
        self._pulse = pulse
        self.replies = replies
        self.echoes = echoes
        self._heads = heads
        self._views = views
        # The publisher has a deadline of its own; this one also covers finding a broker.
        self._publish_seconds = 2 * settings.gateway_publish_timeout.total_seconds()
        self._reply_seconds = settings.gateway_reply_timeout.total_seconds()
        self._view_seconds = settings.gateway_view_timeout.total_seconds()

    async def perform(self, order: WriteRequest, data: CommandData, rename: Rename = same) -> Written:
        """Carry out a command.

        Args:
            order: who wants it.
            data: what is wanted.
            rename: from paths in the command to paths in the REST request.

        Raises:
            Failure: it was rejected, or what became of it is not known in time.
        """
        envelope = self._envelope(order, data)
        gallery_id = gallery_id_of(envelope)
        # Listening begins before the command leaves: its effects may be heard at once, and in any order.
        listening = self.echoes.listen(order.site_id, order.command_id, order.source, order.correlation_id)
        with self._heads.watch(gallery_id) as watch, listening as echo:
            reply = await self._ask(envelope)
            if reply.error is not None:
                raise failure_of(reply.error, rename)
            if reply.gallery_id is None or reply.sequence is None:
                raise key_reused()
            # Of a creation that an earlier version has carried out, the gallery may have another id than it would now.
            if reply.gallery_id != gallery_id and data.gallery_id is not None:
                raise key_reused()
            position = Position(reply.gallery_id, reply.sequence)
            is_shown = await self._await_view(order, watch, position)
            return Written(
                position=position,
                item_ids=tuple(reply.item_ids or ()),
                headers=await self._headers(order, position),
                command_id=order.command_id,
                is_shown=is_shown,
                echo=echo,
                # A gallery's record follows those of its items.
                items=watch.items if watch.sequence >= position.sequence else {},
            )

    async def perform_each(
        self, order: WriteRequest, gallery_id: str, commands: Mapping[int, CreateItems]
    ) -> tuple[dict[int, Reply | HttpFailure], dict[str, str]]:
        """Carry out commands of one gallery in their order and each on its own, as numbered parts of one order.

        Returns what became of each, and headers of the answer. Those that were accepted are visible by then, unless
        the read model did not catch up in time. The first has the key of the order itself, and what that expects: the
        others are sent once it is known that the key was not used for another request, and that the gallery is in a
        state expected.

        Raises:
            Failure: the whole is refused, or of none of them it is known in time what became of it.
        """
        envelopes = {
            number: self._envelope(order.part(number) if place else order, data)
            for place, (number, data) in enumerate(commands.items())
        }
        with self._heads.watch(gallery_id) as watch:
            outcomes: dict[int, Reply | HttpFailure] = {}
            if envelopes and (order.is_named or order.expected is not None):
                first = next(iter(envelopes))
                outcomes[first] = await self._ask(envelopes[first])
                _raise_if_for_all(outcomes[first])
            rest = [number for number in envelopes if number not in outcomes]
            tried = await asyncio.gather(*(self._try(envelopes[number]) for number in rest))
            outcomes |= zip(rest, tried, strict=True)
            known = list(outcomes.values())
            faults = [outcome for outcome in known if isinstance(outcome, HttpFailure) and outcome.status >= 500]
            if faults and len(faults) == len(known):
                raise HttpFailure(faults[0].status, {**faults[0].headers, COMMAND_ID_HEADER: order.command_id})
            reached = [reply.sequence for reply in known if isinstance(reply, Reply) and reply.sequence is not None]
            if not reached:
                return outcomes, {}
            position = Position(gallery_id, max(reached))
            await self._await_view(order, watch, position)
            return outcomes, await self._headers(order, position)

    def _envelope(self, order: WriteRequest, data: CommandData) -> CommandEnvelope:
        return CommandEnvelope(
            command_id=order.command_id,
            site_id=order.site_id,
            name=command_name(data),
            data=data,
            reply_to=self._topics.replies,
            correlation_id=order.correlation_id,
            traceparent=order.traceparent,
            source=order.source,
            request=order.request,
            tracestate=order.tracestate,
        )

    async def _try(self, envelope: CommandEnvelope) -> Reply | HttpFailure:
        try:
            return await self._ask(envelope)
        except HttpFailure as failure:
            return failure

    async def _ask(self, envelope: CommandEnvelope) -> Reply:
        with self.replies.expect(envelope.correlation_id) as future:
            await self._publish(envelope)
            try:
                async with asyncio.timeout(self._reply_seconds):
                    return await future
            except TimeoutError:
                log.warning("no reply to command %s in time", envelope.command_id, extra=_about(envelope))
                raise HttpFailure(504, {COMMAND_ID_HEADER: envelope.command_id}) from None

    async def _publish(self, envelope: CommandEnvelope) -> None:
        message = encode_command(envelope)
        try:
            if record_bytes(*message) > COMMAND_BYTES_MAX:
                raise TooLarge
            async with self._pulse.within(self._publish_seconds):
                await self._sender.send(self._topics.commands, message)
        except TooLarge:
            raise ApplicationFailure(413, "RESOURCE_EXHAUSTED", "the request is too large for one message") from None
        except TransientFailure as error:
            log.warning("Kafka did not take command %s: %s", envelope.command_id, error, extra=_about(envelope))
            raise HttpFailure(503, {**RETRY_AFTER, COMMAND_ID_HEADER: envelope.command_id}) from None

    async def _await_view(self, order: WriteRequest, watch: GalleryWaiter, position: Position) -> bool:
        is_shown = await wait_until_shown(
            self._views, watch, order.site_id, position, self._view_seconds, POLL_VIEW_AFTER_SECONDS
        )
        if not is_shown:
            log.warning("the read model does not show %s in time", position, extra=_about(order))
        return is_shown

    async def _headers(self, order: WriteRequest, position: Position) -> dict[str, str]:
        """The position, and those of earlier writes to other galleries that are not visible yet."""
        unseen = [
            earlier
            for earlier in order.earlier
            if earlier.gallery_id != position.gallery_id
            and not await wait_until_all_shown(self._views, self._heads, order.site_id, [earlier], 0)
        ]
        return {CONSISTENT_HEADER: format_positions(position, unseen)}


def _about(sent: WriteRequest | CommandEnvelope) -> dict[str, Any]:
    return about(site=sent.site_id, source=sent.source, command=sent.command_id)


def key_reused() -> HttpFailure:
    """The failure for an idempotency key that was used before, for something else."""
    code = ErrorCode.IDEMPOTENCY_KEY_REUSED
    return failure_of(ReplyError(code=code, message="the idempotency key belongs to another request"))


def _raise_if_for_all(outcome: Reply | HttpFailure) -> None:
    """Raise the failure of a write of several commands if the first one's is that of all."""
    if isinstance(outcome, Reply) and outcome.error is not None and outcome.error.code in _FOR_ALL:
        raise failure_of(outcome.error)
