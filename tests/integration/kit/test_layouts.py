"""The stored number of partitions: it changes only in a stop, and a stop that takes too long changes nothing."""

from dataclasses import replace

import pytest

from tests.support.installation import Installation
from triptych.kit.failures import StartRefused
from triptych.kit.kafka.layout import Growth, Layout, TopicEnds
from triptych.kit.startup import layouts
from triptych.kit.startup.layouts import Phase, StopLost, StoredLayout

GROWTH = Growth(3, 6, {"commands": TopicEnds("a", {0: 1, 1: 0, 2: 7}), "events": TopicEnds("b", {0: 5})})


async def test_a_growth_takes_effect_in_a_stop(installation: Installation) -> None:
    stored = StoredLayout(installation.database, 3)
    assert await stored.read() == Layout(3)
    assert await stored.states() is None
    await stored.begin(6)
    await stored.keep(6, {"delete.retention.ms": None})
    await stored.keep(6, {"delete.retention.ms": "of a later run"})
    assert await stored.read() == Layout(3, growing_to=6)
    with pytest.raises(StartRefused, match="to reach 6"):
        await stored.begin(9)
    await stored.begin(6)
    token = await stored.stop()
    assert await stored.read() == Layout(3, growing_to=6, is_stopped=True)
    await stored.grow(token, GROWTH, "claims")
    assert await stored.read() == Layout(6, (GROWTH,))
    # Whatever another process has in its settings.
    assert await StoredLayout(installation.database, 48).read() == Layout(6, (GROWTH,))
    states = await stored.states()
    assert states is not None
    assert (states.former, states.partitions, states.phase, states.claimed_by) == (3, 6, Phase.GROWN, "claims")
    assert states.configuration == {"delete.retention.ms": None}
    moved = replace(states, phase=Phase.PUBLISHING, topic_id="t", offsets={0: 4, 1: 5, 2: 6})
    await stored.advance(moved)
    assert await stored.states() == moved


async def test_a_stop_ends_by_itself_and_then_nothing_changes(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = StoredLayout(installation.database, 3)
    await stored.begin(6)
    monkeypatch.setattr(layouts, "STOP_SECONDS", -1.0)
    late = await stored.stop()
    assert not (await stored.read()).is_stopped
    with pytest.raises(StopLost):
        await stored.grow(late, GROWTH, "claims")
    monkeypatch.undo()
    given_up = await stored.stop()
    await stored.resume(given_up)
    assert not (await stored.read()).is_stopped
    former = await stored.stop()
    await stored.stop()
    with pytest.raises(StopLost):
        await stored.grow(former, GROWTH, "claims")
    assert await stored.read() == Layout(3, growing_to=6, is_stopped=True)
