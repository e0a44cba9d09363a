"""Child processes: how they start, stop, and die with their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.children import linux_only, wait_for
from triptych.devstack.children import Child, start_child, stop_all
from triptych.devstack.errors import StackUnavailable

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
# Starts a child, prints its process id, then waits to be killed.
PARENT = f"""
import sys, time
from pathlib import Path
from triptych.devstack.children import start_child
child = start_child([sys.executable, "-c", {SLEEPER!r}], log=Path(sys.argv[1]))
print(child.pid, flush=True)
time.sleep(600)
"""
# Ignores SIGTERM, and starts a process of its own.
STUBBORN = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], stdout=subprocess.DEVNULL).pid, flush=True)
time.sleep(600)
"""
# Does not end when it is told to, and says each time when it was.
CLOCK = """
import signal, time
signal.signal(signal.SIGTERM, lambda number, frame: print(time.monotonic(), flush=True))
print("up", flush=True)
while True:
    time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # a zombie has ended, but its parent has not read its exit code


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Child]]:
    children: list[Child] = []

    def start_python(code: str) -> Child:
        children.append(start_child([sys.executable, "-c", code], log=tmp_path / f"{len(children)}.log"))
        return children[-1]

    yield start_python
    for child in children:
        child.stop(timeout=0)


def test_stop_ends_a_child_politely(start: Callable[[str], Child]) -> None:
    child = start(SLEEPER)
    wait_for(lambda: child.log.read_text() == "up\n")
    assert child.poll() is None
    assert child.stop(timeout=20) == -signal.SIGTERM
    assert child.stop(timeout=20) == -signal.SIGTERM


@linux_only
def test_stop_kills_a_child_that_ignores_sigterm_and_its_children(start: Callable[[str], Child]) -> None:
    child = start(STUBBORN)
    wait_for(lambda: child.log.read_text().endswith("\n"))
    grandchild = int(child.log.read_text())
    assert child.stop(timeout=0.1) == -signal.SIGKILL
    wait_for(lambda: not is_alive(grandchild))


def test_child_has_its_own_session_and_sees_its_environment(tmp_path: Path) -> None:
    code = "import os; print(os.getsid(0) == os.getpid(), os.environ['COLOUR'], os.getcwd())"
    child = start_child(
        [sys.executable, "-c", code], env={"COLOUR": "red"}, log=tmp_path / "new" / "log", cwd=tmp_path.resolve()
    )
    wait_for(lambda: child.poll() == 0)
    assert child.log.read_text().split() == ["True", "red", str(tmp_path.resolve())]


def test_waiting_for_a_child_that_ends_quotes_its_log(start: Callable[[str], Child]) -> None:
    child = start("import sys; sys.exit('the disk is full')")
    with pytest.raises(StackUnavailable, match=r"Thing ended with exit code 1(.|\n)*the disk is full"):
        child.wait_until(lambda: False, what="Thing", timeout=20)


def test_waiting_has_a_deadline(start: Callable[[str], Child]) -> None:
    with pytest.raises(StackUnavailable, match="Thing was not ready"):
        start(SLEEPER).wait_until(lambda: False, what="Thing", timeout=0.05)


def test_ctrl_c_during_a_start_is_not_lost_and_leaves_no_child(tmp_path: Path) -> None:
    """Python ignores what is raised in a callback after a fork, and a signal's handler may run there."""
    parent = f"""
import os, signal, sys
from pathlib import Path
from triptych.devstack.children import start_child
signal.signal(signal.SIGINT, signal.default_int_handler)
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))
try:
    start_child([sys.executable, "-c", {SLEEPER!r}], log=Path(sys.argv[1]))
except KeyboardInterrupt:
    print("interrupted", Path(f"/proc/{{os.getpid()}}/task/{{os.getpid()}}/children").read_text())
"""
    done = subprocess.run(
        [sys.executable, "-c", parent, str(tmp_path / "log")], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout.split(), done.stderr) == (["interrupted"], "")


def test_a_child_hears_signals(start: Callable[[str], Child]) -> None:
    """The signals that its parent defers while it starts are not blocked in the child."""
    child = start("import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))")
    child.wait_until(lambda: child.poll() == 0, what="the child", timeout=30)
    assert child.log.read_text() == "set()\n"


def test_program_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        start_child([tmp_path / "nothing"], log=tmp_path / "log")


@linux_only
def test_child_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            wait_for(lambda: (tmp_path / "log").read_text() == "up\n")
            assert is_alive(child)
        finally:
            os.kill(parent.pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(child))


def test_several_children_stop_within_one_time(start: Callable[[str], Child]) -> None:
    children = [start(CLOCK) for _ in range(3)]
    for child in children:
        wait_for(lambda log=child.log: log.read_text().startswith("up"))  # type: ignore[misc]
    begun = time.monotonic()
    stop_all(children, timeout=1)
    assert time.monotonic() - begun < 2  # none of them ends by itself
    assert [child.poll() for child in children] == [-signal.SIGKILL] * 3
    told = [float(child.log.read_text().split()[1]) for child in children]
    assert max(told) - begun < 1  # the last one is told before the time of the first one is over


def test_children_that_end_by_themselves_are_asked_once(start: Callable[[str], Child]) -> None:
    children = [start(CLOCK), start(SLEEPER)]
    for child in children:
        wait_for(lambda log=child.log: log.read_text().startswith("up"))  # type: ignore[misc]
    stop_all(children, timeout=1)
    assert [child.poll() for child in children] == [-signal.SIGKILL, -signal.SIGTERM]
    assert len(children[0].log.read_text().split()) == 2
