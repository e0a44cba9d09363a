"""How a process finds its predecessors. A mistake delays a restart, or disturbs a process that runs."""

import subprocess
from dataclasses import replace

import pytest

from tests.support.children import linux_only, wait_for
from triptych.kit.process.identity import ProcessIdentity, this_process

HERE = ProcessIdentity("host-1", "boot pid:[1]", 200, 9_000)
FORMER = replace(HERE, number=100, started=5_000)


def test_a_process_replaces_one_of_the_same_instance_that_has_ended() -> None:
    assert HERE.replaces(FORMER, lambda _: None)


def test_it_does_not_replace_one_that_runs() -> None:
    assert not HERE.replaces(FORMER, lambda number: {100: 5_000}[number])
    assert not HERE.replaces(HERE, lambda number: {200: 9_000}[number])


def test_a_number_that_another_process_has_by_now_is_not_mistaken_for_the_former_one() -> None:
    assert HERE.replaces(FORMER, lambda _: 5_001)
    # The main process of a container has the same number each time, and its table may have the same name again.
    assert replace(HERE, number=1).replaces(replace(FORMER, number=1), lambda _: 9_000)


def test_an_instance_id_belongs_to_one_process_at_a_time() -> None:
    elsewhere = replace(FORMER, table="other-boot pid:[1]")
    assert HERE.replaces(elsewhere, lambda _: 5_000)


@pytest.mark.parametrize(
    ("here", "former"),
    [
        (HERE, replace(FORMER, instance="host-2")),
        (HERE, replace(FORMER, table="")),
        (replace(HERE, table=""), FORMER),
    ],
)
def test_it_does_not_replace_what_is_another_instance_or_unknown(
    here: ProcessIdentity, former: ProcessIdentity
) -> None:
    assert not here.replaces(former, lambda _: None)


def test_the_host_stands_for_an_instance_id_that_is_not_set() -> None:
    assert this_process("pod-0").instance == "pod-0"
    assert this_process().instance
    assert not this_process().replaces(this_process())


@linux_only
def test_a_killed_process_is_replaced_even_before_its_parent_has_noticed() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        fields = open(f"/proc/{child.pid}/stat").read().rpartition(")")[2].split()  # noqa: PTH123, SIM115
        former = replace(this_process(), number=child.pid, started=int(fields[19]))
        assert not this_process().replaces(former)
        child.kill()
        wait_for(lambda: this_process().replaces(former))
        assert child.returncode is None
