"""A shell with an empty environment in a folder; tests type commands into it, as into a terminal."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

SECONDS = 60.0
EMPTY: Mapping[str, str] = {}
_POLL_SECONDS = 0.02


class Outcome(NamedTuple):
    """The output of a command, and its exit status; None while the command runs."""

    status: int | None
    output: str
    errors: str


class Shell:
    """A running bash, which keeps variables and functions between commands."""

    def __init__(self, process: subprocess.Popen[str], notes: Path, seconds: float) -> None:
        self._process = process
        self._notes = notes
        self._seconds = seconds
        self._count = 0

    def run(self, command: str) -> Outcome:
        """Type a command and wait until it ends."""
        return self.run_until(command, lambda outcome: outcome.status is not None)

    def run_until(self, command: str, is_enough: Callable[[Outcome], bool]) -> Outcome:
        """Type a command, wait until it has ended or printed enough, and end it if it still runs."""
        self._count += 1
        note = self._notes / str(self._count)
        typed = f"{{ {command}\n}} </dev/null >{note}.out 2>{note}.err\necho $? >{note}.rc\n"
        assert self._process.stdin is not None
        self._process.stdin.write(typed)
        self._process.stdin.flush()
        deadline = time.monotonic() + self._seconds
        while True:
            outcome = _outcome(note)
            if outcome.status is not None or is_enough(outcome):
                break
            assert time.monotonic() < deadline, f"not within {self._seconds:g} s: {command}\n{outcome}"
            time.sleep(_POLL_SECONDS)
        while _outcome(note).status is None:
            self._end_children()
            time.sleep(_POLL_SECONDS)
        return outcome

    def _end_children(self) -> None:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if children:
            os.kill(int(children[-1]), signal.SIGTERM)  # the latest child: earlier ones run in the background


def _outcome(note: Path) -> Outcome:
    status = note.with_suffix(".rc")
    # The status is read first: if there is one, the output that is read afterwards is complete.
    # A builtin writes it: another command would be a child of the shell, and might be ended with the one before it.
    written = status.read_text() if status.exists() else ""
    code = int(written) if written.endswith("\n") else None
    output, errors = (note.with_suffix(ending) for ending in (".out", ".err"))
    return Outcome(
        code,
        output.read_text(errors="replace") if output.exists() else "",
        errors.read_text(errors="replace") if errors.exists() else "",
    )


@contextmanager
def empty_shell(
    folder: Path, notes: Path, environ: Mapping[str, str] = EMPTY, seconds: float = SECONDS
) -> Iterator[Shell]:
    """A shell in a folder, with PATH, HOME and `environ` set. The shell and its children are ended after the block.

    A command may take `seconds`.

    What Docker would write to HOME goes to the notes, because the folder may be the checkout.
    """
    notes.mkdir(parents=True)
    process = subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        stdin=subprocess.PIPE,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "DOCKER_CONFIG": str(notes / "docker"), **environ},
        text=True,
        start_new_session=True,
    )
    try:
        yield Shell(process, notes, seconds)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
