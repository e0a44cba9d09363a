"""Prints results on stdout: JSON for scripts, one document on each line."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import orjson
import typer

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, one document on each line.")]
AlwaysJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON, one document on each line; this command prints nothing else.")
]


def show_json(wire: Mapping[str, Any]) -> None:
    """Print one line of JSON."""
    print(orjson.dumps(wire).decode(), flush=True)
