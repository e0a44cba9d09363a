"""Replays or drops many dead letters from the command line: asks first, and prints the result for each."""

import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import TypeAlias

import typer

from triptych.cli.dead_letters.lines import result_line
from triptych.cli.dead_letters.options import read_ids
from triptych.cli.exits import ExitStatus
from triptych.cli.output import show_json
from triptych.deadletters.administration import OpenDeadLetters, Result
from triptych.deadletters.forms import result_form
from triptych.deadletters.model.letter import Refusal
from triptych.deadletters.model.selection import Selection
from triptych.deadletters.scan import Entry
from triptych.kit.failures import StartRefused
from triptych.kit.own_command import as_typed

Handle: TypeAlias = Callable[[OpenDeadLetters, Sequence[Entry]], Awaitable[list[Result]]]


class Handling:
    """Replays or drops dead letters, and prints the result for each."""

    def __init__(self, verb: str, past: str, *, as_json: bool) -> None:
        self._verb = verb
        self._past = past
        self._as_json = as_json
        self._refused = 0

    async def run(
        self,
        letters: OpenDeadLetters,
        ids: Sequence[str],
        selection: Selection,
        handle: Handle,
        *,
        is_confirmed: bool,
    ) -> None:
        """Handle the dead letters with these ids, or without ids those of the selection.

        Raises:
            StartRefused: neither ids nor filters, or both; or there is nobody to confirm.
            Exit: some were refused, or the user did not confirm.
        """
        if bool(ids) == selection.is_restricted:
            see = as_typed(f"dead-letters {self._verb} --help")
            raise StartRefused(f"Name either ids or filters, such as --reason or --topic. See: {see}")
        if ids:
            for position in read_ids(ids):
                entry = await letters.find(position)
                missing = [Result(position, Refusal.NOT_FOUND)]
                self._print(missing if entry is None else await handle(letters, [entry]))
        else:
            if not is_confirmed:
                self._confirm(await _count(letters, selection))
            # A scan ends where the topics ended when it began, so records that are refused again are not sent again.
            scan = letters.scan(selection, with_content=True)
            async with aclosing(scan.chunks(letters.topics_of(selection))) as chunks:
                async for chunk in chunks:
                    self._print(await handle(letters, chunk))
        if self._refused:
            raise typer.Exit(ExitStatus.NEGATIVE)

    def _confirm(self, count: int) -> None:
        if not sys.stdin.isatty():
            raise StartRefused(f"{count} dead letters match. Add --yes to {self._verb} them, or --dry-run.")
        typer.confirm(f"{self._verb} {count} dead letters?", abort=True, err=True)

    def _print(self, results: Iterable[Result]) -> None:
        for result in results:
            self._refused += result.refusal is not None
            if self._as_json:
                show_json(result_form(result))
            else:
                print(result_line(result, self._past))


async def _count(letters: OpenDeadLetters, selection: Selection) -> int:
    count = 0
    async for chunk in letters.scan(selection).chunks(letters.topics_of(selection)):
        count += len(chunk)
    return count
