"""Makes the reference page of the command line from the code: each command with its options and an example."""

from collections.abc import Iterator
from typing import Any

from triptych.cli.__main__ import app
from triptych.cli.exits import ExitStatus
from triptych.cli.lazy import loaded

EXAMPLE = "Example: triptych "
"""How the help of each command ends; the words of an example follow."""
_TYPED = ".venv/bin/triptych"
_STATUS_KEYS = (
    ("at", "the moment, ISO 8601"),
    ("ok", "whether nothing is wrong"),
    ("problems", "what is wrong, a list of texts"),
    ("services", "for each service `name`, `address`, `state` (`ready`, `not ready`, `not reached`) and `problems`"),
    ("kafka, mongodb", "`reached`, and the `problem` if not"),
    (
        "lag",
        "for each consumer group `group`, `topic`, `records` and `oldestSeconds`; the group of the history is "
        "among them if one is written",
    ),
    ("deadLetters", "for each dead-letter topic `topic` and `records`: what it has now, handled or not"),
    ("outbox", "`rows` and `oldestSeconds`: committed events that are not marked as published"),
    ("jobs", "`running`, `failing`, `finishing`, `oldestSeconds`, and `waitingCommands`"),
    (
        "schema",
        "the `version` of the data, the `oldestBuild` that may use it, the version that this build has `known`, and "
        "`migrations`: for each that has begun or is due `name`, `version`, `state` (`due`, `running`, `interrupted`, "
        "`done`), `done` and `total` (documents), `startedDate`, `movedDate`, and the `instance` that works on it",
    ),
    ("processes", "for each service that runs anywhere `service`, `instance`, `release` and `schemaVersion`"),
    ("deliveries", "`due` and `oldestDueSeconds` of active listeners; `dead` of all listeners"),
)


def commands_page(heading: str) -> str:
    """The page."""
    return "\n".join(
        [
            heading,
            "",
            "# Command line",
            "",
            "The command is `triptych`; in a checkout it is `.venv/bin/triptych`. Results are printed on stdout, and",
            "progress and messages on stderr. `--help` shows the options and an example of each command, and",
            "`--version` the version. A command uses the installation that the environment names",
            "([settings](settings.md)), or the stack that `make up` runs in this folder, and says on stderr which one.",
            "If no server answers, a command ends within 5 s with a message. If it has to wait later, it says within",
            "5 s what it waits for.",
            "",
            "## Exit statuses",
            "",
            "| status | meaning |",
            "|---|---|",
            *(f"| {status.value} | {status.meaning} |" for status in ExitStatus),
            "",
            "## Completion",
            "",
            "```text",
            f"{_TYPED} completion bash > ~/.local/share/bash-completion/completions/triptych",
            f'{_TYPED} completion zsh > "${{fpath[1]}}/_triptych"',
            f"{_TYPED} completion fish > ~/.config/fish/completions/triptych.fish",
            "```",
            "",
            "## The status as JSON",
            "",
            "`.venv/bin/triptych status --json` prints one object. These keys are stable. `lag` and `deadLetters` are",
            "`null` if Kafka was not reached; `outbox`, `jobs`, `deliveries`, `schema` and `processes` if MongoDB was",
            "not. A time in seconds is `null` if there is nothing to measure. The exit status is 1 if `ok` is false: a",
            "server was not reached, a service is not ready, a job is failing, a migration was interrupted, or",
            "something has waited for more than 60 s. Dead letters and dead deliveries alone do not change it.",
            "",
            "| key | content |",
            "|---|---|",
            *(f"| `{key}` | {content} |" for key, content in _STATUS_KEYS),
            "",
            "## Export and import",
            "",
            "An export has one JSON object on each line: a gallery, then its items in display order.",
            "[GalleryLine](../schemas/published/exports/GalleryLine.json) and",
            "[ItemLine](../schemas/published/exports/ItemLine.json) describe them. Each gallery is as it was at one",
            "moment. MongoDB keeps that moment for five minutes (`minSnapshotHistoryWindowInSeconds`); a gallery that",
            "takes longer ends the export with status 75. Galleries that are created during an export may be missing.",
            "",
            "An import creates what is missing and changes nothing else. A gallery keeps its id; with `--new-ids` it",
            "gets another one, always the same for the same old id and site. Items get new ids, which `--ids` lists.",
            "An item is there already if the gallery has an item with its sort order and content, so an interrupted",
            "import is resumed by the same command. An item that was deleted since then is created again. Refused",
            "lines go to a file, each with its reason as `refused`. Correct that file and import it.",
            "",
            'To move from Wix, save the answers of its API as files and import them: `{"galleries": […]}`,',
            '`{"gallery": {…}}`, `{"items": […]}`, `{"item": {…}}`, or arrays of galleries or items. What the',
            "JavaScript client returns (`_id`, `wix:image://…`) is read too. An item belongs to the gallery around",
            "it, or to the last gallery before it, or to that of `--gallery`. If the answers have fewer items than a",
            "gallery's `totalItems`, the import says so, with status 1.",
            "",
            "## Commands",
            "",
            *(line for path, command in all_commands() for line in _section(path, command)),
        ]
    )


def all_commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that name it."""

    def walk(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
        members = getattr(command, "commands", None)
        if members is None:
            yield path, command
        else:
            for name, member in members.items():
                yield from walk((*path, name), member)

    yield from walk((), loaded(app))


def example_of(command: Any) -> str | None:
    """The words of the example in the help of a command; None if it has none."""
    epilog = command.epilog or ""
    return epilog.removeprefix(EXAMPLE) if epilog.startswith(EXAMPLE) else None


def _section(path: tuple[str, ...], command: Any) -> Iterator[str]:
    yield from (f"### {' '.join(path)}", "", *(command.help or "").splitlines(), "")
    rows = [_row(parameter) for parameter in command.params if "--help" not in parameter.opts]
    if rows:
        yield from ("| argument or option | default | meaning |", "|---|---|---|", *rows, "")
    yield from ("```text", f"{_TYPED} {example_of(command)}", "```", "")


def _row(parameter: Any) -> str:
    is_argument = parameter.param_type_name == "argument"
    options = [parameter.name.upper()] if is_argument else [*parameter.opts, *parameter.secondary_opts]
    names = ", ".join(f"`{name}`" for name in options)
    default = getattr(parameter, "default", None)
    if parameter.required:
        shown = "required"
    elif default is None or default == "" or isinstance(default, bool) or callable(default):
        shown = ""
    else:
        shown = f"`{getattr(default, 'value', default)}`"
    choices = getattr(parameter.type_descriptor, "choices", None)
    values = ", ".join(f"`{getattr(one, 'value', one)}`" for one in choices or ())
    listed = f" One of {values}." if values else ""
    meaning = " ".join(f"{parameter.help or ''}{listed}".split())
    return f"| {names} | {shown} | {meaning} |".replace("||", "| |")
