"""The time of a process is that of the server it asks, whatever the machine's own clock says or does."""

from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY

from triptych.kit.process.clock import SAMPLES, STEP_SECONDS, Clock, ServerTime

TRUE = 1_800_000_000.0
HOUR = 3_600.0


class Machine:
    """A machine whose wall clock is wrong; its monotonic clock counts from its start."""

    def __init__(self, wrong_by: float) -> None:
        self.wrong_by = wrong_by
        self.passed = 0.0
        self.clock = Clock(lambda: TRUE + self.passed + self.wrong_by, lambda: 42.0 + self.passed)

    def hears(self, source: ServerTime, *, late: float = 0.0, server: str = "a", server_wrong_by: float = 0.0) -> None:
        """A heartbeat arrives; `late` is how long it was on its way."""
        source.note(server, datetime.fromtimestamp(TRUE + self.passed - late + server_wrong_by, UTC))

    @property
    def error(self) -> float:
        """By how many seconds the time is wrong."""
        return self.clock.seconds() - TRUE - self.passed


@pytest.mark.parametrize("wrong_by", [-HOUR, 0.0, HOUR])
def test_the_time_is_the_servers(wrong_by: float) -> None:
    machine = Machine(wrong_by)
    assert machine.error == wrong_by
    machine.hears(machine.clock.source())
    assert machine.error == pytest.approx(0.0)
    assert REGISTRY.get_sample_value("triptych_clock_ahead_seconds") == pytest.approx(wrong_by)


def test_a_clock_that_is_set_changes_nothing() -> None:
    machine = Machine(0.0)
    machine.hears(machine.clock.source())
    machine.passed, machine.wrong_by = 7.0, HOUR
    assert machine.error == pytest.approx(0.0)
    machine.passed, machine.wrong_by = 8.0, -HOUR
    assert machine.error == pytest.approx(0.0)


def test_a_heartbeat_without_a_zone_is_in_utc() -> None:
    machine = Machine(HOUR)
    machine.clock.source().note("a", datetime.fromtimestamp(TRUE, UTC).replace(tzinfo=None))
    assert machine.error == pytest.approx(0.0)


def test_a_heartbeat_that_was_long_on_its_way_changes_nothing() -> None:
    machine = Machine(HOUR)
    source = machine.clock.source()
    machine.hears(source)
    for _ in range(SAMPLES - 1):
        machine.passed += 10
        machine.hears(source, late=10.0)  # for instance because the process stood still
        assert machine.error == pytest.approx(0.0)


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_a_server_whose_clock_was_set_is_followed(step: float) -> None:
    machine = Machine(0.0)
    source = machine.clock.source()
    machine.hears(source)
    for _ in range(SAMPLES):
        machine.passed += 10
        machine.hears(source, server_wrong_by=step)
    assert machine.error == pytest.approx(step)


def test_after_an_election_the_clock_of_the_new_server_counts_at_once() -> None:
    machine = Machine(0.0)
    source = machine.clock.source()
    machine.hears(source, server="a", server_wrong_by=HOUR)
    machine.passed += 1
    machine.hears(source, server="b")
    assert machine.error == pytest.approx(0.0)


def test_small_corrections_do_not_take_time_back() -> None:
    machine = Machine(0.0)
    source = machine.clock.source()
    machine.hears(source)
    before = machine.clock.seconds()
    for _ in range(SAMPLES):
        machine.hears(source, late=STEP_SECONDS / 2)
    assert machine.clock.seconds() == before
    machine.passed += STEP_SECONDS
    assert machine.error == pytest.approx(-STEP_SECONDS / 2)


def test_without_anybody_who_asks_the_clock_of_the_machine_counts() -> None:
    machine = Machine(HOUR)
    first, second = machine.clock.source(), machine.clock.source()
    machine.hears(first, server_wrong_by=1.0)
    machine.hears(second)
    machine.hears(first, server_wrong_by=1.0)
    assert machine.error == pytest.approx(0.0)
    second.close()
    assert machine.error == pytest.approx(1.0)
    first.close()
    machine.hears(first)  # one that was on its way
    assert machine.error == HOUR


def test_a_wrong_clock_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    machine = Machine(HOUR)
    source = machine.clock.source()
    for _ in range(3):
        machine.hears(source)
    machine.wrong_by = 0.0
    for _ in range(3):
        machine.hears(source)
    levels = [record.levelname for record in caplog.records if "clock of this machine" in record.getMessage()]
    assert levels == ["WARNING", "INFO"]  # the second one says that it agrees again
