"""Each record that we write is as published, and one that is not is named with its place, its field and the rule."""

from dataclasses import dataclass, replace

import orjson
import pytest

from tests.support.published import problems_of_record
from tests.support.tools.cases import WireExample, wire_examples

KINDS = {"replies", "events", "galleries"}
WRITTEN = [one for one in wire_examples() if one.name.startswith("present/") and one.schema_folder in KINDS]


@dataclass(frozen=True)
class OnTopic:
    """A record, with what of it is validated."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    topic: str = "t"
    partition: int = 2
    offset: int = 7


def on_topic(one: WireExample) -> OnTopic:
    headers = tuple((name, text.encode()) for name, text in one.example.headers.items())
    value = None if one.example.value is None else orjson.dumps(one.example.value)
    return OnTopic(None if one.example.key is None else one.example.key.encode(), value, headers)


def found(channel: str, record: OnTopic) -> list[str]:
    return list(problems_of_record(channel, record))


def test_every_record_is_as_published() -> None:
    assert {one.schema_folder for one in WRITTEN} == KINDS
    assert {one.name: wrong for one in WRITTEN if (wrong := found(one.schema_folder, on_topic(one)))} == {}


def example(name: str) -> OnTopic:
    return next(on_topic(one) for one in WRITTEN if one.name.startswith(f"present/{name}"))


EVENT, REPLY, HEAD = example("events/ItemCreated"), example("replies/Reply"), example("galleries/GalleryRecord")


@pytest.mark.parametrize(
    ("channel", "record", "problem"),
    [
        ("events", replace(EVENT, value=EVENT.value and EVENT.value.replace(b'"slug"', b'"slag"')), "'slag'"),
        ("events", replace(EVENT, headers=(*EVENT.headers, ("ce_more", b"1"))), "headers root: .*'ce_more'"),
        ("events", replace(EVENT, headers=(("ce_type", b"unknown"),)), "no published message has the type 'unknown'"),
        ("events", replace(EVENT, headers=()), "no published message has the type None"),
        ("events", replace(EVENT, value=None), "no value"),
        ("replies", replace(REPLY, headers=REPLY.headers[:-1]), "the content type is None"),
        ("replies", replace(REPLY, value=b'{"commandId":1}'), 'commandId: 1 is not of type "string"'),
        ("galleries", replace(HEAD, headers=(*HEAD.headers, ("ce_id", b"1"))), "headers .'ce_id'. are not published"),
        ("galleries", replace(HEAD, value=b"{}"), '"galleryId" is a required property'),
    ],
)
def test_a_wrong_record_is_named_with_its_place_and_the_rule(channel: str, record: OnTopic, problem: str) -> None:
    problems = found(channel, record)
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError("\n".join(problems))
    assert all(one.startswith("t[2]@7: ") for one in problems)
