"""A replayed event is for the listeners that existed when it was published first."""

from datetime import timedelta
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from tests.support.listener_examples import NOW, listener
from triptych.kit.kafka.positions import Position
from triptych.kit.kafka.transit import Replay
from triptych.webhooks.relay.handler import _published

REPLAY = Replay(1, Position("events.dead-letter", 2, 0), Position("events", 2, 40), 0)


@pytest.mark.parametrize(
    ("headers", "begins", "is_for_it"),
    [
        ((REPLAY.header(),), 40, True),
        ((REPLAY.header(),), 41, False),
        ((), 41, True),
        ((("dead-letter-replay", b"not ours"),), 41, True),
    ],
)
def test_the_first_position_decides(headers: tuple[tuple[str, bytes], ...], begins: int, is_for_it: bool) -> None:
    now = int((NOW + timedelta(hours=1)).timestamp() * 1000)
    record: ConsumerRecord[Any, Any] = ConsumerRecord("events", 2, 90, now, 0, None, b"", None, 0, 0, headers)
    assert listener(begins={2: begins}).is_older_than(_published(record)) is is_for_it
