"""A client of Kafka that asks which brokers there are, and for no topic that it is not told of.

aiokafka's own client asks for all topics of the cluster, at each question and every few seconds besides. Reading that
answer took most of the processor time of an idle gateway, and the time grows with what others keep in the cluster.
"""

from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError


class _NoTopics(set[str]):
    """aiokafka takes a set of topics that counts as false for a question about all of them."""

    def __bool__(self) -> bool:
        return True


class BrokersClient(AIOKafkaClient):  # type: ignore[misc]
    """A client that knows brokers alone. Not started."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._topics = _NoTopics()

    async def ask(self) -> ClusterMetadata:
        """The brokers, as the first one of them says that answers. Raises KafkaError if none of them answers."""
        answer = ClusterMetadata(metadata_max_age_ms=self._metadata_max_age_ms)
        if not await self._metadata_update(answer, _NoTopics()):
            raise KafkaError("no broker that is known has answered")
        return answer
