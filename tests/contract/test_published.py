"""The published files agree with the code, and have no breaking change since the last release."""

from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from triptych.contract.publishing.compatibility import compare
from triptych.contract.publishing.publish import (
    ASYNCAPI,
    BASELINE,
    direction_of,
    main,
    message_schemas,
    outdated,
    write,
)

_schemas = cache(message_schemas)
_RELEASED = sorted(path.relative_to(BASELINE).as_posix() for path in BASELINE.rglob("*.json"))


def _baseline(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = orjson.loads((BASELINE / name).read_bytes())
    return schema


def test_published_files_are_up_to_date() -> None:
    assert outdated() == [], "run python -m triptych.contract.publishing.publish and review the difference"
    assert main(["--check"]) == 0


def test_no_released_message_was_removed() -> None:
    assert _RELEASED
    assert set(_RELEASED) <= set(_schemas())


@pytest.mark.parametrize("name", _RELEASED)
def test_nothing_released_is_broken(name: str) -> None:
    assert compare(_baseline(name), _schemas()[name], direction_of(name)) == []


@pytest.mark.parametrize("name", _RELEASED)
def test_a_removed_field_is_reported(name: str) -> None:
    schema = _schemas()[name]
    lost = sorted(schema["properties"])[0]
    changed = {**schema, "properties": {field: part for field, part in schema["properties"].items() if field != lost}}
    assert f"{lost}: is gone" in compare(_baseline(name), changed, direction_of(name))


def test_writing_repairs_whatever_differs(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "commands" / "CreateGallery.json").write_text("{}", encoding="utf-8")
    (tmp_path / "commands" / "DropGallery.json").write_text("{}", encoding="utf-8")
    (tmp_path / ASYNCAPI).unlink()
    assert outdated(tmp_path) == [ASYNCAPI, "commands/CreateGallery.json", "commands/DropGallery.json"]
    write(tmp_path)
    assert outdated(tmp_path) == []


def test_every_reference_in_the_asyncapi_document_has_a_target() -> None:
    document = orjson.loads((BASELINE.parent / ASYNCAPI).read_bytes())
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
