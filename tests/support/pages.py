"""Reads the code of a documentation page as a reader would: commands to type, programs to save, expected output."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# An indented block has no language, so it does not say whether it is to be run.
_INDENTED = re.compile(r"^[^\n]*\S\n\n((?: {4}[^\n]*\n)+)", re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
_SAVED_AS = re.compile(r"# ([a-z_]+\.py)\n")

# Texts that differ from run to run, most specific first. An ellipsis stands for any text; on its own line, for lines.
_VARYING = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    (r"\d{4}-\d\d-\d\d", r"\d{4}-\d\d-\d\d"),
    (r"\d\d:\d\d:\d\d\.\d{3}", r"\d\d:\d\d:\d\d\.\d{3}"),
    (r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"),
    (r"\b\d+-[0-9a-f]{16}\b", r"\d+-[0-9a-f]{16}"),
    (r"\b[0-9a-f]{12}\b", r"[0-9a-f]{12}"),
    (r"\b\d{13,}(?:\.\d+)?\b", r"\d{13,}(?:\.\d+)?"),
    (r"\n…(?=\n|$)", r"(?:\n[^\n]*)*"),
    (r"…", r"[^\n]*"),
)
_TOKENS = re.compile("|".join(f"({printed})" for printed, _ in _VARYING))


class Block(NamedTuple):
    """A fenced block: its position, for messages, and its content."""

    page: str
    line: int
    language: str
    text: str


class Step(NamedTuple):
    """A command of a page, with the output that the page shows; None if the page shows none."""

    command: str
    prints: str | None


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text()
    name = page.relative_to(ROOT).as_posix()
    return [Block(name, text.count("\n", 0, found.start()) + 1, found[1], found[2]) for found in _FENCE.finditer(text)]


def indented_blocks(page: Path) -> list[str]:
    """The code blocks that are marked only by four spaces."""
    text = _FENCE.sub("", page.read_text())
    return [
        found[1] for found in _INDENTED.finditer(text) if not re.match(r"\s*([*-]|\d+\.) ", found[0].splitlines()[0])
    ]


def inline_code(page: Path) -> list[str]:
    """The texts in code format within the prose."""
    return _INLINE.findall(_FENCE.sub("", page.read_text()))


def program(block: Block) -> tuple[str | None, str]:
    """The file that the first line of a Python program names, or None, and the program."""
    named = _SAVED_AS.match(block.text)
    return (named[1] if named else None), block.text


def steps(block: Block) -> list[Step]:
    """The commands of a block: in `console`, lines after `$ ` with the lines that follow as output; else all lines."""
    lines = block.text.splitlines()
    if block.language != "console":
        return [Step(command, None) for command in _commands(lines)]
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    assert starts[:1] == [0], f"{block.page}:{block.line} does not begin with a command"
    found: list[Step] = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        typed = [lines[start].removeprefix("$ ")]
        output = lines[start + 1 : end]
        while not _is_complete("\n".join(typed)):
            typed.append(output.pop(0))
        found.append(Step("\n".join(typed), "\n".join(output) or None))
    return found


def _commands(lines: list[str]) -> Iterator[str]:
    """The complete commands in these lines, without comments."""
    typed: list[str] = []
    for line in lines:
        if not typed and (not line.strip() or line.startswith("#")):
            continue
        typed.append(line)
        if _is_complete("\n".join(typed)):
            yield "\n".join(typed)
            typed.clear()
    assert not typed, f"this command has no end: {typed}"


def _is_complete(command: str) -> bool:
    if command.endswith("\\"):
        return False
    return subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False).returncode == 0


def is_as_printed(page: str, real: str) -> bool:
    """Whether real output agrees with a page, except for ids, times, and what the page leaves out."""
    pattern = ""
    text = "\n" + page.strip("\n")
    end = 0
    for token in _TOKENS.finditer(text):
        pattern += re.escape(text[end : token.start()]) + _VARYING[(token.lastindex or 0) - 1][1]
        end = token.end()
    return re.fullmatch(pattern + re.escape(text[end:]), "\n" + real.strip("\n")) is not None
