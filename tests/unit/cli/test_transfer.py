"""Exports and imports without servers: what is read as a gallery or an item, and where an export is resumed."""

from io import BytesIO
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from triptych.cli.transfer import reading
from triptych.cli.transfer.documents import EntryReader, GalleryEntry, ItemEntry, UnknownEntry
from triptych.cli.transfer.newcomers import content_of, newcomer_of
from triptych.cli.transfer.reading import documents
from triptych.cli.transfer.resuming import CompletePart, NotAnExport, complete_part
from triptych.cli.transfer.sdk_form import rest_form
from triptych.contract.exports import GalleryLine, ItemLine, gallery_line, item_line
from triptych.kit.failures import StartRefused

GALLERY = "4937b26c-0000-4000-8000-000000000000"
OTHER = "4937b26c-0000-4000-8000-000000000001"
ITEM = "a045b201-0000-4000-8000-000000000000"
DATE = "2026-01-02T03:04:05.678Z"
TEXT: dict[str, Any] = {"id": ITEM, "sortOrder": 2, "title": "T", "text": {"html": "<p>x</p>"}, "type": "TEXT"}
HEAD: dict[str, Any] = {"id": GALLERY, "name": "N", "totalItems": 1, "sortOrder": 1.5, "createdDate": DATE}
WHOLE = [GalleryEntry(GALLERY, HEAD, 1), ItemEntry(GALLERY, TEXT)]


@pytest.mark.parametrize(
    "value",
    [
        [gallery_line("s", 2, HEAD), item_line(GALLERY, TEXT)],
        {"totalGalleries": 1, "galleries": [{**HEAD, "items": [TEXT]}]},
        {"gallery": {**HEAD, "items": [TEXT]}},
        {**HEAD, "items": [TEXT]},
        [{**HEAD, "items": [TEXT]}],
        [{"gallery": HEAD}, {"items": [TEXT]}],
        [HEAD, {"item": TEXT}],
        [HEAD, TEXT],
        [HEAD, [TEXT]],
        [{"_id": GALLERY, **{name: value for name, value in HEAD.items() if name != "id"}, "items": [TEXT]}],
    ],
)
def test_every_form_of_a_gallery_and_its_items_is_read(value: Any) -> None:
    found = list(EntryReader().entries(value))
    assert found == WHOLE


def test_items_without_a_gallery_belong_to_the_named_one() -> None:
    assert list(EntryReader(OTHER).entries({"items": [TEXT]})) == [ItemEntry(OTHER, TEXT)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"items": [TEXT]}, "has no gallery"),
        ({"kind": "item", "galleryId": "x", "item": TEXT}, "names no gallery by a GUID"),
        ({"gallery": {"name": "N"}}, "is not a gallery with an id"),
        ({"galleries": [None]}, "is not a gallery with an id"),
        ({"kind": "gallery", "format": "triptych.export.v2", "gallery": HEAD}, "has another format"),
        ({"message": "not found"}, "is neither"),
        ("text", "is neither"),
        ([None], "is neither"),
    ],
)
def test_everything_else_is_named(value: Any, reason: str) -> None:
    (entry,) = EntryReader().entries(value)
    assert isinstance(entry, UnknownEntry)
    assert reason in entry.reason


@pytest.mark.parametrize(
    ("given", "rest"),
    [
        (
            {
                "_id": ITEM,
                "image": {"imageInfo": "wix:image://v1/ab~mv2.jpg/my%20pic.jpg#originWidth=2&originHeight=1"},
            },
            {
                "id": ITEM,
                "image": {
                    "imageInfo": {
                        "id": "ab~mv2.jpg",
                        "height": 1,
                        "width": 2,
                        "altText": "my pic.jpg",
                        "filename": "my pic.jpg",
                    }
                },
            },
        ),
        (
            {"image": {"imageInfo": "image://v1/ab.jpg#originWidth=x"}},
            {"image": {"imageInfo": {"id": "ab.jpg", "height": 0, "width": 0}}},
        ),
        (
            {"image": {"imageInfo": "https://e.com/a.jpg"}},
            {"image": {"imageInfo": {"url": "https://e.com/a.jpg"}}},
        ),
        (
            {"video": {"videoInfo": "wix:video://v1/vid/f.mp4#posterUri=p.jpg&posterWidth=2&posterHeight=1"}},
            {
                "video": {
                    "videoInfo": {
                        "id": "vid",
                        "filename": "f.mp4",
                        "posters": [{"id": "p.jpg", "height": 1, "width": 2}],
                    }
                }
            },
        ),
        ({"video": {"videoInfo": "https://vimeo.com/1"}}, {"video": {"videoInfo": {"url": "https://vimeo.com/1"}}}),
        (TEXT, TEXT),
    ],
)
def test_what_the_javascript_client_returns_becomes_what_the_api_returns(given: Any, rest: Any) -> None:
    assert rest_form(given) == rest


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1}\n\n{"a":2}\n',
        b'\xef\xbb\xbf{"a":1}\n{"a":2}',
        b'{\n  "a": 1\n}\n{\n  "a": 2\n}\n',
    ],
)
def test_documents_have_one_line_or_several(text: bytes) -> None:
    assert list(documents(BytesIO(text))) == [{"a": 1}, {"a": 2}]


def test_a_line_that_is_not_json_is_refused_alone() -> None:
    first, second, third = documents(BytesIO(b'{"a":1}\n{"a":\n{"a":3}\n'))
    assert (first, third) == ({"a": 1}, {"a": 3})
    assert isinstance(second, UnknownEntry)
    assert second.content == '{"a":\n'


def test_a_file_that_is_not_json_is_refused() -> None:
    (only,) = documents(BytesIO(b"<html>\n</html>\n"))
    assert isinstance(only, UnknownEntry)


def test_a_document_that_is_too_large_ends_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "DOCUMENT_BYTES_MAX", 10)
    with pytest.raises(StartRefused, match="split it"):
        list(documents(BytesIO(b'{"a":"' + b"x" * 20 + b'"}\n')))


def test_content_is_compared_without_what_the_server_owns() -> None:
    newcomer = newcomer_of(ItemEntry(GALLERY, TEXT), GALLERY)
    assert newcomer is not None
    stored = {**TEXT, "id": GALLERY, "createdDate": DATE, "updatedDate": DATE}
    assert content_of(stored) == newcomer.content
    assert content_of({**stored, "title": "other"}) != newcomer.content


def test_an_item_without_a_sort_order_is_not_read() -> None:
    assert newcomer_of(ItemEntry(GALLERY, {**TEXT, "sortOrder": None}), GALLERY) is None


def test_values_that_cannot_be_kept_exactly_are_refused() -> None:
    raw = orjson.dumps({**TEXT, "text": {"html": "", "css": {"a": 1}}}).replace(b'"a":1', b'"a":1,"a":2')
    (document,) = documents(BytesIO(raw + b"\n"))
    (entry,) = EntryReader(GALLERY).entries(document)
    assert isinstance(entry, ItemEntry)
    with pytest.raises(ValidationError, match="same key twice"):
        newcomer_of(entry, GALLERY)


def lines(*galleries: tuple[str, int]) -> list[bytes]:
    """The lines of an export of galleries with these numbers of items."""
    found = []
    for gallery_id, count in galleries:
        found.append(gallery_line("s", 1 + count, {**HEAD, "id": gallery_id, "totalItems": count}))
        found += [item_line(gallery_id, TEXT)] * count
    return [orjson.dumps(line) + b"\n" for line in found]


@pytest.mark.parametrize("kept", range(7))
@pytest.mark.parametrize("cut", [0, 5])
def test_an_export_is_resumed_after_its_last_whole_gallery(kept: int, cut: int) -> None:
    whole = lines((GALLERY, 2), (OTHER, 0), (ITEM, 2))
    file = b"".join(whole[:kept]) + whole[kept][:cut]
    found = complete_part(BytesIO(file))
    ends = {3: (GALLERY, 1, 2), 4: (OTHER, 2, 2)}
    expected = ends.get(max((end for end in ends if end <= kept), default=0))
    if expected is None:
        assert found == CompletePart()
    else:
        end = sum(map(len, whole[: 3 if expected[0] == GALLERY else 4]))
        assert found == CompletePart(end, *expected)


def test_another_file_is_not_resumed() -> None:
    with pytest.raises(NotAnExport):
        complete_part(BytesIO(b'{"a":1}\n'))


def test_lines_are_those_of_the_schema() -> None:
    first, second = lines((GALLERY, 1))
    assert GalleryLine.model_validate_json(first).gallery.id == GALLERY
    stored = {**TEXT, "createdDate": DATE, "updatedDate": DATE}
    assert ItemLine.model_validate(item_line(GALLERY, stored)).item.title == "T"
    assert orjson.loads(second)["kind"] == "item"
