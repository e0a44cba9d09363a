"""The published files agree with the code."""

from pathlib import Path
from typing import Any

import orjson

from triptych.contract.publishing.publish import (
    ASYNCAPI,
    PUBLISHED,
    main,
    outdated,
    write,
)


def test_published_files_are_up_to_date() -> None:
    assert outdated() == [], "run python -m triptych.contract.publishing.publish and review the difference"
    assert main(["--check"]) == 0


def test_writing_repairs_whatever_differs(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "commands" / "CreateGallery.json").write_text("{}", encoding="utf-8")
    (tmp_path / "commands" / "DropGallery.json").write_text("{}", encoding="utf-8")
    (tmp_path / ASYNCAPI).unlink()
    assert outdated(tmp_path) == [ASYNCAPI, "commands/CreateGallery.json", "commands/DropGallery.json"]
    write(tmp_path)
    assert outdated(tmp_path) == []


def test_every_reference_in_the_asyncapi_document_has_a_target() -> None:
    document = orjson.loads((PUBLISHED / ASYNCAPI).read_bytes())
    references = list(_references(document))
    assert references
    for reference in references:
        part: Any = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in part, reference
            part = part[step]


def _references(part: Any) -> list[str]:
    if isinstance(part, list):
        return [reference for element in part for reference in _references(element)]
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [reference for element in part.values() for reference in _references(element)]
    return []
