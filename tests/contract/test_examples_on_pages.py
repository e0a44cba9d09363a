"""Every command, event, reply, joined record and webhook that a page shows is valid under its published schema."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.support.pages import PAGES, ROOT, blocks
from tests.support.published import problems_of, schema_of
from triptych.contract.commands import COMMAND_TYPE_PREFIX

MISTAKES = {"triptych.command.v1.CreateGalery"}
"""Types that a page misspells on purpose, to show how the record is dead-lettered."""

# The command line adds the rest of the envelope.
_SENT = re.compile(r"triptych send (\w+) '(\{.*\})'")
_SHELL = re.compile(r"'\"?\$\w+\"?'")
_TEXT_OR_ELLIPSIS = re.compile(r'("(?:[^"\\\n]|\\.)*")|…')
# What a page leaves out of an object or a list, with the comma before or after it.
_LEFT_OUT = (
    (re.compile(r",\s*\0\s*,"), ","),
    (re.compile(r"(?<=[{\[])\s*\0\s*,?"), ""),
    (re.compile(r",?\s*\0\s*(?=[}\]])"), ""),
    (re.compile(r",\s*\0\s*"), ","),
)


class Shown(NamedTuple):
    """A message on a page; it is not whole if the page leaves a part out."""

    page: str
    schema: str
    value: Any
    is_whole: bool


def shown_objects(text: str) -> Iterator[tuple[Any, bool]]:
    """The outermost JSON objects in a text, and whether each is whole. Those that cannot be read are left out."""
    decoder, position = json.JSONDecoder(), 0
    readable = _TEXT_OR_ELLIPSIS.sub(lambda found: found[1] or "\0", text)
    is_cut = "\0" in readable
    for pattern, instead in _LEFT_OUT:
        readable = pattern.sub(instead, readable)
    while (start := readable.find("{", position)) >= 0:
        try:
            value, position = decoder.raw_decode(readable, start)
        except ValueError:
            position = start + 1
            continue
        yield value, not is_cut and "…" not in readable[start:position]


def shown_messages(text: str) -> Iterator[tuple[str, Any, bool]]:
    """The messages in a block of a page: schema, value, and whether it is whole."""
    for name, data in _SENT.findall(text):
        yield f"commands/{name}.json", json.loads(_SHELL.sub("4937b26c-1d52-4b3c-9c7f-0a2f6d1b8e11", data)), True
    for value, is_whole in shown_objects(text):
        fields = value.keys()
        if "specversion" in fields and value["type"] not in MISTAKES:
            schema = schema_of("commands", value["type"], None)
            assert schema is not None, f"no command has the type {value['type']}"
            yield schema, value["data"], is_whole and "%s" not in json.dumps(value)
        elif {"commandId", "outcome"} <= fields:
            yield "replies/Reply.json", value, is_whole
        elif "eventType" in fields and fields.isdisjoint(("status", "instanceId")):  # no delivery, and no token
            schema = schema_of("events", value["eventType"], None)
            assert schema is not None, f"no event has the type {value['eventType']}"
            yield schema, value, is_whole
        elif {"type", "timestamp", "data"} <= fields:
            yield "webhooks/StandardBody.json", value, is_whole
        elif {"galleryId", "siteId"} <= fields:
            yield f"galleries/{'ItemRecord' if 'itemId' in fields else 'GalleryRecord'}.json", value, is_whole


SHOWN = [
    Shown(page.relative_to(ROOT).as_posix(), *message)
    for page in PAGES
    if "decisions" not in page.parts
    for block in blocks(page)
    for message in shown_messages(block.text)
]


def test_pages_show_messages_of_every_kind() -> None:
    kinds = {shown.schema.split("/")[0] for shown in SHOWN}
    assert kinds == {"commands", "replies", "events", "galleries", "webhooks"}
    assert len(SHOWN) >= 15


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: f"{shown.page}-{shown.schema}")
def test_a_message_on_a_page_is_valid_under_its_schema(shown: Shown) -> None:
    assert problems_of(shown.schema, shown.value, is_whole=shown.is_whole) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"specversion":"1.0","id":"a","type":"%sClearGallery","data":{"gallery":"x"}}', "'gallery' was unexpected"),
        ('{"commandId":"…","outcome":"refused","galleryId":"…"}', '"refused" is not one of'),
        ('{"eventType":"wix.pro_gallery.gallery_v2_updated",…,"sequence":1}', "'sequence' was unexpected"),
        ('{"type":"wix.pro_gallery.gallery_v2_created","timestamp":1,"data":{…}}', '1 is not of type "string"'),
    ],
)
def test_a_wrong_message_is_found(text: str, problem: str) -> None:
    ((schema, value, is_whole),) = shown_messages(text.replace("%s", COMMAND_TYPE_PREFIX))
    assert problem in " ".join(problems_of(schema, value, is_whole=is_whole))
