"""Types the blocks of a page in a shell, as printed, and compares what they print with the page."""

import re
import time

from tests.support.checkout import Place, happen
from tests.support.pages import Block, is_as_printed, program, steps
from tests.support.shell import Outcome, Shell

PATIENCE_SECONDS = 15.0
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
"""What a terminal does not show."""
NOT_TYPED = {
    "make up": "the fixture has done what it does, with servers that were there",
    "make test": "this is it",
    "make cluster": "tests/resilience/cluster does, in `make test-cluster`",
    "make console": "`make test-console` does",
    "TRIPTYCH_TEST_RESTARTS": "`make soak` does",
    "docker compose up": "`make test-deploy` does, because it needs a Docker engine",
}
# They run until somebody ends them; they have printed enough when they have printed what the page says.
ENDLESS = ("curl -sN", "galleries.py", "shop_events.py", "# Ctrl-C ends it")
# A reader's next command comes seconds later; a test's comes at once, and what it looks for may not be there yet.
LOOKS_AGAIN = ("kcat -C", "cat received.txt")


def run_block(block: Block, shell: Shell, place: Place) -> None:
    if block.language == "python":
        name, text = program(block)
        place.folder.joinpath(name or "program.py").write_text(place.here(text))
        if name is None:
            check(block, ".venv/bin/python program.py", None, shell, place)
        return
    for step in steps(block):
        if not any(step.command.startswith(command) for command in NOT_TYPED):
            check(block, step.command, step.prints, shell, place)


def check(block: Block, command: str, prints: str | None, shell: Shell, place: Place) -> None:
    where = f"{block.page}:{block.line}: {command}"

    def is_printed(outcome: Outcome) -> bool:
        return is_as_printed(prints or "", place.as_printed(_COLOUR.sub("", outcome.output)))

    if any(word in command for word in ENDLESS):
        started = time.monotonic()

        def is_enough(outcome: Outcome) -> bool:
            nonlocal started
            if time.monotonic() > started + 1:
                started = time.monotonic()
                happen(place)
            return is_printed(outcome)

        outcome = shell.run_until(place.here(command), is_enough)
        assert is_printed(outcome), f"{where}\n{outcome}"
        return
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        outcome = shell.run(place.here(command))
        is_right = outcome.status == 0 and is_printed(outcome)
        if is_right or not command.startswith(LOOKS_AGAIN) or time.monotonic() > ends:
            break
    assert outcome.status == 0, f"{where}\n{outcome}"
    assert is_printed(outcome), f"{where}\nexpected:\n{prints}\nprinted:\n{outcome}"
