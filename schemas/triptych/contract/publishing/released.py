"""Keeps the released versions of the contract as files: JSON Schemas and wire examples of each record."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triptych.contract.publishing.asyncapi import CONTRACT_VERSION
from triptych.contract.publishing.example_meaning import Example
from triptych.contract.publishing.examples import wire_examples
from triptych.contract.publishing.gate import Contract
from triptych.contract.publishing.publish import message_schemas

RELEASED = Path(__file__).resolve().parents[3] / "released"
"""A folder for each released version, such as `1.0.0`, with the folders `schemas` and `examples`."""

_VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")


class AlreadyReleased(Exception):
    """This version, or a later one, is released. A released version never changes."""


def present_contract() -> Contract:
    """The contract of this build."""
    return Contract(CONTRACT_VERSION, message_schemas(), wire_examples())


def parse_version(text: str) -> tuple[int, ...]:
    """`1.2.0` as numbers, which can be compared. Raises ValueError for any other form."""
    if (found := _VERSION.fullmatch(text)) is None:
        raise ValueError(f"{text!r} is no version of the form 1.2.0")
    return tuple(map(int, found.groups()))


def read_releases(directory: Path = RELEASED) -> list[Contract]:
    """All released versions, oldest first. Raises ValueError if a folder is not named after a version."""
    folders = [path for path in directory.iterdir() if path.is_dir()] if directory.is_dir() else []
    return [_read(folder) for folder in sorted(folders, key=lambda folder: parse_version(folder.name))]


def write_release(contract: Contract, directory: Path = RELEASED) -> Path:
    """Store a version and return its folder. Raises AlreadyReleased if it is not above all released ones."""
    for released in read_releases(directory):
        if parse_version(released.version) >= parse_version(contract.version):
            raise AlreadyReleased(
                f"{released.version} is released, so {contract.version} cannot be. A released version never changes: "
                "raise CONTRACT_VERSION in schemas/triptych/contract/publishing/asyncapi.py"
            )
    folder = directory / contract.version
    for name, schema in contract.schemas.items():
        _write(folder / "schemas" / name, schema)
    for name, examples in contract.examples.items():
        _write(folder / "examples" / name, [example._asdict() for example in examples])
    return folder


def _read(folder: Path) -> Contract:
    schemas: Mapping[str, Any] = _files(folder / "schemas")
    examples = {name: [Example(**fields) for fields in listed] for name, listed in _files(folder / "examples").items()}
    return Contract(folder.name, schemas, examples)


def _files(folder: Path) -> dict[str, Any]:
    return {
        path.relative_to(folder).as_posix(): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.json"))
    }


def _write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
