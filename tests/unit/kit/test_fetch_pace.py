"""A broker holds back an empty response for long, and gathers records only while some come."""

from types import SimpleNamespace

import pytest

from triptych.kit.kafka.reading import fetch_pace
from triptych.kit.kafka.reading.fetch_pace import CALM_SECONDS, GATHERED_BYTES, IDLE_WAIT_MS, FetchPace


def test_records_are_gathered_while_some_come_and_the_first_one_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(fetch_pace, "time", SimpleNamespace(monotonic=lambda: now))
    pace = FetchPace(200)
    idle, busy = (IDLE_WAIT_MS, 1), (200, GATHERED_BYTES)
    assert pace.next_fetch() == idle
    pace.note_records()
    assert pace.next_fetch() == busy
    now += CALM_SECONDS / 2
    pace.note_records()
    now += CALM_SECONDS * 0.9
    assert pace.next_fetch() == busy
    now += CALM_SECONDS * 0.2
    assert pace.next_fetch() == idle
