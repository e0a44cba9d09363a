"""The judge names too much memory and work that does not go on (I9, I10)."""

from pathlib import Path

import pytest

from tests.support.chaos.history import Fault, History, Memory, Recovery
from tests.support.chaos.judging.processes import MOST_REPEATS, check_repeats
from tests.support.chaos.planting import Plants

PLANTS = Plants()


@PLANTS.plant("I9", "command-1 had 2 MiB, more than 1 MiB")
def a_process_uses_too_much_memory(history: History) -> None:
    history.memory.append(Memory("command-1", 2 << 20))


@PLANTS.plant("I10", "no joined record after fault 2, SIGSTOP of projector")
def no_work_after_a_fault(history: History) -> None:
    history.faults.append(Fault("SIGSTOP", "projector", Recovery(1.0, None, 1.0, 1.0)))


@pytest.mark.parametrize("name", list(PLANTS))
def test_a_planted_fault_is_named(name: str, tmp_path: Path) -> None:
    PLANTS.check(name, tmp_path)


def test_more_repeats_than_a_fault_explains_are_named() -> None:
    recovery = Recovery(1.0, 1.0, 1.0, 1.0)
    faults = [
        Fault("SIGKILL", "command", recovery, MOST_REPEATS),
        Fault("SIGSTOP", "kafka", recovery, MOST_REPEATS + 1),
    ]
    assert [str(found) for found in check_repeats(faults)] == [
        "I2: 7001 events were repeated after fault 2, SIGSTOP of kafka"
    ]
