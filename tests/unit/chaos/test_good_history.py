"""The judge finds nothing wrong with a good history, in the whole and in parts."""

from pathlib import Path

import pytest

from tests.support.chaos.history import History
from tests.support.chaos.judging import judge
from tests.support.chaos.planting import Spoil, judged_in_parts
from tests.support.chaos.recorded import good_history


def repeat_everything(history: History) -> None:
    history.events += [event._replace(offset=event.offset + 50) for event in history.events]
    history.answers += [answer._replace(place="again") for answer in history.answers]
    history.deliveries += [delivery._replace(has_succeeded=False) for delivery in history.deliveries]
    history.joined += [record._replace(offset=record.offset + 50) for record in history.joined]


@pytest.mark.parametrize("change", [lambda history: None, repeat_everything], ids=["as it is", "repeated"])
def test_it_has_no_violation(change: Spoil, tmp_path: Path) -> None:
    history, _ = good_history()
    change(history)
    assert judge(history) == []
    assert judged_in_parts(history, tmp_path) == []
