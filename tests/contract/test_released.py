"""The contract of this build keeps what each released version has promised; its examples are what services write."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from triptych.contract.publishing import example_content as content
from triptych.contract.publishing.example_meaning import meaning_of
from triptych.contract.publishing.gate import Contract, check
from triptych.contract.publishing.release import main, problems_of
from triptych.contract.publishing.released import (
    AlreadyReleased,
    present_contract,
    read_releases,
    write_release,
)
from triptych.projector.join.records import head_records, item_records
from triptych.projector.view.fold import View
from triptych.webhooks.model.signing import standard_body

_present = cache(present_contract)
RELEASES = read_releases()


def test_there_is_a_released_version() -> None:
    assert RELEASES
    for released in RELEASES:
        assert released.schemas.keys() == released.examples.keys()


@pytest.mark.parametrize("released", RELEASES, ids=lambda released: released.version)
def test_no_released_promise_is_broken(released: Contract) -> None:
    assert [str(failure) for failure in check(released, _present(), problems_of, meaning_of)] == []


def test_a_broken_promise_is_named_with_record_field_rule_and_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema: Any = orjson.loads(orjson.dumps(_present().schemas["events/ItemCreated.json"]))
    schema["properties"]["lost"] = {"type": "string"}
    write_release(Contract("0.9.0", {"events/ItemCreated.json": schema}, {}), tmp_path)
    assert main(["--check"], tmp_path) == 1
    assert "events/ItemCreated, field lost: field-removed: is gone (released in 0.9.0)" in capsys.readouterr().err
    assert main([], tmp_path) == 1, "a version that breaks a promise is not released"
    assert [path.name for path in tmp_path.iterdir()] == ["0.9.0"]


def test_a_release_is_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], tmp_path) == 0
    written = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    assert read_releases(tmp_path)[0].schemas == _present().schemas
    assert main([], tmp_path) == 1
    assert "A released version never changes" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == written
    assert main(["--check"], tmp_path) == 0
    with pytest.raises(AlreadyReleased):
        write_release(_present()._replace(version="0.0.9"), tmp_path)
    write_release(_present()._replace(version="1.10.0"), tmp_path)
    write_release(_present()._replace(version="1.11.0"), tmp_path)
    assert [released.version for released in read_releases(tmp_path)][-2:] == ["1.10.0", "1.11.0"]


def test_a_folder_without_a_version_is_reported(tmp_path: Path) -> None:
    (tmp_path / "draft").mkdir()
    with pytest.raises(ValueError, match="'draft' is no version"):
        read_releases(tmp_path)


@pytest.mark.parametrize("name", sorted(_present().schemas))
def test_every_field_is_in_an_example(name: str) -> None:
    """A field that no example has would be compared by its schema only."""
    values = [example.value for example in _present().examples[name] if example.value is not None]
    schema = _present().schemas[name]
    assert values
    assert sorted(_fields(schema, schema) - {path for value in values for path in _paths(value)}) == []


@pytest.mark.parametrize("name", sorted(_present().schemas))
def test_every_example_is_valid(name: str) -> None:
    for example in _present().examples[name]:
        value = example.value.get("data", example.value) if name.startswith("commands/") else example.value
        assert value is None or problems_of(_present().schemas[name], value) == []


def test_the_examples_of_webhooks_are_what_the_relay_sends() -> None:
    bodies = {example.name: example.value for example in _present().examples["webhooks/StandardBody.json"]}
    for example in _present().examples["events/ItemUpdated.json"]:
        assert bodies[f"ItemUpdated-{example.name}"] == orjson.loads(standard_body(orjson.dumps(example.value)))


def test_the_joined_examples_are_what_the_projector_publishes() -> None:
    head = {name: field for name, field in content.GALLERY.items() if name not in ("totalItems", "items")}
    view = View(content.SITE_ID, content.GALLERY_ID, sequence=4, head=head, total_items=3)
    items = [orjson.dumps(item) for item in content.ITEMS]
    assert _record_of(head_records(view, items)) == _joined("GalleryRecord", "whole")
    assert _record_of(item_records(view, {content.ITEM_ID: (4, items[0])})) == _joined("ItemRecord", "image")
    gone = view._replace(head=None, total_items=0)
    assert _record_of(head_records(gone, [])) == _joined("GalleryRecord", "gone")
    assert _record_of(item_records(gone, {content.ITEM_ID: None})) == _joined("ItemRecord", "gone")


def _record_of(records: list[tuple[bytes, bytes | None]]) -> tuple[str, Any]:
    ((key, value),) = records
    return key.decode(), None if value is None else orjson.loads(value)


def _joined(record: str, name: str) -> tuple[str | None, Any]:
    (found,) = (example for example in _present().examples[f"galleries/{record}.json"] if example.name == name)
    return found.key, found.value


def _fields(schema: Any, root: Mapping[str, Any], path: str = "") -> set[str]:
    """The paths of all fields that a schema names, except those of the items of a gallery: it has none (D19)."""
    if "$ref" in schema:
        return _fields(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, path)
    found: set[str] = set()
    for alternative in schema.get("anyOf", ()):
        found |= _fields(alternative, root, path)
    for name, field in schema.get("properties", {}).items():
        found.add(f"{path}.{name}")
        if (schema.get("title"), name) != ("Gallery", "items"):
            found |= _fields(field, root, f"{path}.{name}")
    return found | (_fields(schema["items"], root, f"{path}[]") if "items" in schema else set())


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all fields that a value has."""
    if isinstance(value, list):
        for element in value:
            yield from _paths(element, f"{path}[]")
    elif isinstance(value, dict):
        for name, member in value.items():
            yield f"{path}.{name}"
            yield from _paths(member, f"{path}.{name}")
