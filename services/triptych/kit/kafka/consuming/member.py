"""A member of a consumer group that need not wait for the end of its killed predecessor's session.

A killed process stays a member of its group until its session has run out. Until then, no other member gets its
partitions, and a member that joins waits. Anybody who may read the group may also end a membership. So each member
notes its id where its successor finds it, and the successor ends that membership while it joins (decision 38).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from aiokafka.client import ConnectionGroup
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import InvalidSessionTimeoutError, KafkaError, NoError, UnknownMemberIdError, for_code
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

from triptych.kit.failures import StartRefused
from triptych.kit.kafka.reading.reader import GroupReader
from triptych.kit.logs.loggers import get_logger

log = get_logger(__name__)

HEAD_START_SECONDS = 0.05
"""How long after a request to join the memberships of predecessors are ended. If the last member left before, the group
would be empty, and the broker waits for `group.initial.rebalance.delay.ms` (3 s) before an empty group begins."""
JOIN_MARGIN_MS = 1_000
NOTE_SECONDS = 1.0
"""How long a member waits until its id is noted. A consumer must be able to join while MongoDB is away."""


class Memberships(Protocol):
    """The memberships in one group of this process and of its predecessors."""

    @property
    def left_behind(self) -> Sequence[str]:
        """The ids under which killed predecessors of this process were members."""

    def note(self, member_id: str, /) -> Awaitable[None]:
        """Note the id under which this process is about to be a member."""


class GroupMember(GroupReader):
    """A consumer in a group."""

    def __init__(self, *topics: str, memberships: Memberships | None = None, **options: Any) -> None:
        self._memberships = memberships
        self._session_seconds = options.get("session_timeout_ms", 0) / 1000
        self._join_seconds = ((options.get("rebalance_timeout_ms") or 0) + JOIN_MARGIN_MS) / 1000
        super().__init__(*topics, **options)

    async def start(self) -> None:
        """Join the group, and wait until it has assigned partitions.

        Raises:
            StartRefused: the brokers do not permit this session timeout.
            KafkaError: the group cannot be joined at present.
        """
        try:
            await super().start()
        except InvalidSessionTimeoutError:
            raise StartRefused(
                f"TRIPTYCH_GROUP_SESSION_TIMEOUT: Kafka does not permit {self._session_seconds:g} s. The brokers' "
                "group.min.session.timeout.ms and group.max.session.timeout.ms limit it."
            ) from None

    @property
    def _coordinator(self) -> GroupCoordinator | None:
        return self._own_coordinator

    @_coordinator.setter
    def _coordinator(self, coordinator: GroupCoordinator | None) -> None:
        # aiokafka makes its coordinator inside `start` and has no option for another class.
        if coordinator is not None:
            coordinator.__class__ = _Coordinator
            coordinator.memberships = self._memberships
            coordinator.join_seconds = self._join_seconds
            coordinator.left_behind = list(self._memberships.left_behind) if self._memberships is not None else []
        self._own_coordinator = coordinator


class _Coordinator(GroupCoordinator):  # type: ignore[misc]
    """aiokafka's side of the protocol of groups, which also notes ids of members and ends memberships left behind."""

    memberships: Memberships | None
    left_behind: list[str]
    """The memberships that are still to be ended."""
    join_seconds: float
    """How long the broker may take for the answer to a request to join: it waits until all members have joined."""
    _noted = ""
    _ending: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Leave the group."""
        if self._ending is not None:
            self._ending.cancel()
        await super().close()

    async def _send_req(self, request: Any) -> Any:
        if not isinstance(request, JoinGroupRequest | SyncGroupRequest):
            return await super()._send_req(request)
        # The first request to join has no id yet. The broker's response to it has one (KIP-394).
        if isinstance(request, JoinGroupRequest) and self.member_id:
            await self._note()
            if self.left_behind and (self._ending is None or self._ending.done()):
                self._ending = asyncio.create_task(self._end_left_behind())
        with await self._patience():
            return await super()._send_req(request)

    async def _patience(self) -> AbstractContextManager[None]:
        """Wait longer for answers of the coordinator during the block: a request that is repeated would join again."""
        node = self.coordinator_id
        connection = None if node is None else await self._client._get_conn(node, group=ConnectionGroup.COORDINATION)
        return contextlib.nullcontext() if connection is None else _patient(connection, self.join_seconds)

    async def _note(self) -> None:
        if self.memberships is None or self._noted == self.member_id:
            return
        member_id = self.member_id
        try:
            async with asyncio.timeout(NOTE_SECONDS):
                await self.memberships.note(member_id)
            self._noted = member_id
        except Exception as error:  # noqa: BLE001 - after a kill, the session then has to run out
            log.info("a membership was not noted", group=self.group_id, error=error)

    async def _end_left_behind(self) -> None:
        """End the memberships of killed predecessors: the group would wait for them."""
        await asyncio.sleep(HEAD_START_SECONDS)
        while self.left_behind and self.coordinator_id is not None:
            request = LeaveGroupRequest(self.group_id, self.left_behind[-1])
            try:
                # Not on the coordinator's connection: the broker answers one request after another, and the one to
                # join has to wait.
                response = await self._client.send(self.coordinator_id, request, group=ConnectionGroup.DEFAULT)
                error_type = for_code(response.error_code)
                if error_type not in (NoError, UnknownMemberIdError):
                    raise error_type
            except KafkaError as error:
                log.info("the membership of a killed process was not ended", group=self.group_id, error=error)
                return
            member_id = self.left_behind.pop()
            if error_type is NoError:  # otherwise its session has run out already
                log.info("the membership of a killed process was ended", group=self.group_id, member_id=member_id)


@contextlib.contextmanager
def _patient(connection: AIOKafkaConnection, seconds: float) -> Iterator[None]:
    # aiokafka has one timeout for all requests.
    before = connection._request_timeout
    connection._request_timeout = max(before, seconds)
    try:
        yield
    finally:
        connection._request_timeout = before
