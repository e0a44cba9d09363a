"""Writes the published form of the contract, or compares it with the code (`--check`)."""

import argparse
import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from triptych.contract.exports import GalleryLine, ItemLine
from triptych.contract.publishing.asyncapi import MESSAGES, asyncapi_document, mode_of
from triptych.contract.webhooks import StandardBody

PUBLISHED = Path(__file__).resolve().parents[3] / "published"
ASYNCAPI = "asyncapi.json"

OTHERS: Mapping[str, tuple[type[BaseModel], ...]] = {"exports": (GalleryLine, ItemLine), "webhooks": (StandardBody,)}
"""Lines of an export and bodies of webhooks. They are on no topic, so the AsyncAPI document does not have them."""


def message_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every message and line by file name, such as `commands/CreateGallery.json`."""
    published = [(channel, model) for channel, messages in MESSAGES.items() for model, _ in messages]
    published += [(folder, model) for folder, models in OTHERS.items() for model in models]
    return {
        f"{channel}/{model.__name__}.json": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **model.model_json_schema(mode=mode_of(channel)),
        }
        for channel, model in published
    }


@cache
def documents() -> Mapping[str, str]:
    """Every published file by name, as text."""
    published = {**message_schemas(), ASYNCAPI: asyncapi_document()}
    return {name: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for name, document in published.items()}


def outdated(directory: Path = PUBLISHED) -> list[str]:
    """The names of files that are missing, differ from the code, or are no longer needed."""
    expected = documents()
    found = {
        path.relative_to(directory).as_posix(): path.read_text(encoding="utf-8") for path in directory.rglob("*.json")
    }
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def write(directory: Path = PUBLISHED) -> None:
    """Bring the files up to date."""
    expected = documents()
    for name in outdated(directory):
        path = directory / name
        if name in expected:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(expected[name], encoding="utf-8")
        else:
            path.unlink()


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m triptych.contract.publishing.publish", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if the files differ from the code")
    options = parser.parse_args(arguments)
    if options.check:
        names = outdated()
        for name in names:
            sys.stderr.write(f"{name} differs from the code; run python -m triptych.contract.publishing.publish\n")
        return 1 if names else 0
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
