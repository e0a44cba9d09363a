"""Incremental fetches: a broker remembers what a consumer fetches, so requests and responses contain only changes.

A fetch then costs what has changed, however many partitions there are. aiokafka's own requests name all partitions, and
so do the broker's responses to them. The protocol is KIP-227, which brokers speak since Kafka 1.1:
https://cwiki.apache.org/confluence/display/KAFKA/KIP-227
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

from aiokafka import TopicPartition
from aiokafka.errors import for_code
from aiokafka.protocol.fetch import FetchRequest

FetchedTopics: TypeAlias = list[tuple[str, list[tuple[int, int, int]]]]
"""For each topic, some partitions: the number, the offset to fetch from, and the largest size of the response."""
EPOCH_MAX = 2**31 - 1
_FIRST_VERSION = 7


class FetchSessions:
    """The sessions of one consumer, one with each broker."""

    def __init__(self) -> None:
        self._sessions: dict[int, FetchSession] = {}
        self._assignment: object = None

    def of(self, node_id: int, assignment: object) -> "FetchSession":
        """The session with a broker. All sessions restart with a new assignment, whose partitions have no state yet."""
        if assignment is not self._assignment:
            self._assignment = assignment
            for session in self._sessions.values():
                session.restart()
        return self._sessions.setdefault(node_id, FetchSession())


class FetchSession:
    """What one broker remembers of one consumer. One fetch is in flight at a time.

    Attributes:
        offsets: where the last request fetches from, by partition.
    """

    def __init__(self) -> None:
        self.offsets: dict[TopicPartition, int] = {}
        self._id = self._epoch = 0
        self._is_in_flight = False

    def next_request(self, request: FetchRequest) -> FetchRequest:
        """A request for the same partitions that contains only what has changed since the last request."""
        if self._is_in_flight:
            self.restart()  # its response was lost, and perhaps the request was
        before, self._is_in_flight = self.offsets, True
        self.offsets = {
            TopicPartition(topic, number): offset
            for topic, partitions in request.topics
            for number, offset, _ in partitions
        }
        if not self._epoch:
            return _Fetch(request, (self._id, 0), request.topics, [])
        changed = [(topic, _changed(topic, partitions, before)) for topic, partitions in request.topics]
        forgotten = _by_topic(before.keys() - self.offsets.keys())
        return _Fetch(request, (self._id, self._epoch), [entry for entry in changed if entry[1]], forgotten)

    def accept(self, response: Any) -> None:
        """Note a response.

        Raises:
            KafkaError: it has no data, since the broker does not know the session. The next request starts another.
        """
        self._is_in_flight = False
        if error := getattr(response, "error_code", 0):  # absent before version 7, which is where sessions begin
            self.restart()
            raise for_code(error)
        self._id = getattr(response, "session_id", 0)  # 0 if the broker has no room for a session
        self._epoch = self._epoch % EPOCH_MAX + 1 if self._id else 0

    def restart(self) -> None:
        """Let the next request contain all partitions. The broker starts a new session, and ends the present one."""
        self._epoch, self._is_in_flight = 0, False


class _Fetch(FetchRequest):  # type: ignore[misc]
    """A request within a session."""

    def __init__(
        self,
        request: FetchRequest,
        session: tuple[int, int],
        topics: FetchedTopics,
        forgotten: list[tuple[str, list[int]]],
    ) -> None:
        """`session` is its id and the request's epoch. `forgotten` are the partitions to fetch no more, by topic."""
        self.__dict__.update(request.__dict__)
        self._topics, self._session, self._forgotten = topics, session, forgotten

    def build(self, request_struct_class: Any) -> Any:
        """The request in one version of the protocol."""
        built = super().build(request_struct_class)
        if request_struct_class.API_VERSION >= _FIRST_VERSION:
            built.session_id, built.session_epoch = self._session
            built.forgotten_topics_data = self._forgotten
        return built


def _changed(
    topic: str, partitions: list[tuple[int, int, int]], before: dict[TopicPartition, int]
) -> list[tuple[int, int, int]]:
    return [entry for entry in partitions if before.get(TopicPartition(topic, entry[0])) != entry[1]]


def _by_topic(partitions: Iterable[TopicPartition]) -> list[tuple[str, list[int]]]:
    found: dict[str, list[int]] = {}
    for topic, number in partitions:
        found.setdefault(topic, []).append(number)
    return list(found.items())
