"""The server rules for media (contract, sections 3.3 to 3.5)."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.contract_examples import IMAGE_ITEM, VIDEO_ITEM, VIMEO_ITEM
from triptych.contract.media import Image, ImageInfo, Text, Video

_STORED = "https://static.wixstatic.com/media/abc~mv2.jpg"


def test_stored_picture_comes_back_with_a_web_address() -> None:
    sent = IMAGE_ITEM["image"]
    returned = Image.model_validate(sent).to_wire()
    assert returned == {**sent, "imageInfo": {**sent["imageInfo"], "url": _STORED}}


def test_picture_read_and_written_back_stays_the_same() -> None:
    returned = Image.model_validate(IMAGE_ITEM["image"]).to_wire()
    assert Image.model_validate(returned).to_wire() == returned


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("wix:image://v1/abc~mv2.jpg#originWidth=200&originHeight=100", False),
        ("image://v1/abc~mv2.jpg#originWidth=200&originHeight=100", False),
        ("wix:image://v1/abc~mv2.jpg/undefined#originWidth=200&originHeight=100", True),
        (_STORED, True),
        (None, True),
    ],
)
def test_names_invented_by_the_client_are_dropped(url: str | None, kept: bool) -> None:
    info = ImageInfo.model_validate({"id": "abc~mv2.jpg", "filename": "undefined", "altText": "undefined", "url": url})
    assert (info.filename, info.alt_text) == (("undefined", "undefined") if kept else (None, None))


def test_sizes_are_always_present_with_an_id() -> None:
    assert ImageInfo.model_validate({"id": "abc~mv2.jpg", "width": None}).to_wire() == {
        "id": "abc~mv2.jpg",
        "url": _STORED,
        "height": 0,
        "width": 0,
    }


@pytest.mark.parametrize("url", ["https://example.com/a.jpg?x=1#y", "http://example.com:8080/é.png"])
def test_external_picture_comes_back_as_sent(url: str) -> None:
    assert ImageInfo.model_validate({"url": url}).to_wire() == {"url": url}
    assert ImageInfo.model_validate({"id": "", "url": url}).to_wire() == {"url": url}


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"id": "", "url": ""},
        {"width": 1, "height": 2},
        {"url": "data:image/png;base64,AAAA"},
        {"url": "ftp://example.com/a.jpg"},
        {"url": "javascript:alert(1)"},
        {"url": "https://"},
        {"url": "http://[bad/"},
        {"url": "a.jpg"},
    ],
)
def test_other_pictures_are_refused(info: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ImageInfo.model_validate(info)


@pytest.mark.parametrize("quality", [29, 101, True, "x", 30.5])
def test_quality_out_of_range_is_refused(quality: object) -> None:
    with pytest.raises(ValidationError):
        Image.model_validate({"imageInfo": {"id": "a"}, "quality": quality})


@pytest.mark.parametrize(
    "change",
    [
        {"focalPoint": {"x": 0.5}},
        {"focalPoint": {"x": "NaN", "y": 0.5}},
        {"unsharpMasking": {"amount": 5.1}},
        {"unsharpMasking": {"threshold": 1.1}},
        {"unsharpMasking": {"radius": "Infinity"}},
        {"exif": []},
        {"imageInfo": {}},
        {"imageInfo": None},
    ],
)
def test_broken_images_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Image.model_validate({"imageInfo": {"id": "a"}, **change})


@pytest.mark.parametrize("sent", [VIDEO_ITEM["video"], VIMEO_ITEM["video"]])
def test_videos_come_back_as_sent(sent: dict[str, Any]) -> None:
    assert Video.model_validate(sent).to_wire() == sent


def test_two_posters_keep_their_order_and_fields() -> None:
    posters = [{"url": "https://example.com/p/1.jpg"}, {"id": "2.jpg", "height": 1, "width": 2, "format": "jpg"}]
    sent = {"type": "WIX_MEDIA", "videoInfo": {"id": "v", "posters": posters}}
    assert Video.model_validate(sent).to_wire() == sent


@pytest.mark.parametrize("given", [{}, {"type": "UNDEFINED"}, {"type": None}])
@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"id": "vid_1"}, "WIX_MEDIA"),
        ({"url": "https://www.youtube.com/watch?v=1"}, "YOUTUBE"),
        ({"url": "https://youtu.be/1"}, "YOUTUBE"),
        ({"url": "https://player.vimeo.com/video/1"}, "VIMEO"),
        ({"url": "https://notvimeo.com/1"}, "WIX_MEDIA"),
        ({"url": "https://example.com/youtube.com/a.mp4"}, "WIX_MEDIA"),
    ],
)
def test_video_type_follows_from_the_link(given: dict[str, Any], info: dict[str, Any], expected: str) -> None:
    assert Video.model_validate({**given, "videoInfo": info}).type == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [({"duration": "20000"}, 20000), ({"durationInMillis": 20000.0}, 20000), ({"durationInMillis": "20000"}, 20000)],
)
def test_duration_is_returned_as_a_number(sent: dict[str, Any], expected: int) -> None:
    assert Video.model_validate({"videoInfo": {"id": "v"}, **sent}).to_wire()["durationInMillis"] == expected


@pytest.mark.parametrize(
    "sent",
    [
        {"videoInfo": {}},
        {"videoInfo": {"url": "file:///etc/passwd"}},
        {"type": "MP4", "videoInfo": {"id": "v"}},
        {"videoInfo": {"id": "v", "resolutions": [{}] * 101}},
        {"videoInfo": {"id": "v"}, "durationInMillis": 2**63},
    ],
)
def test_broken_videos_are_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Video.model_validate(sent)


def test_text_is_kept_with_its_reserved_fields() -> None:
    sent = {"html": "<b>h</b>", "css": {"width": 420, "x": None}, "editorHtml": "e", "editorFontId": "f"}
    assert Text.model_validate(sent).to_wire() == sent


@pytest.mark.parametrize("sent", [{}, {"html": None}, {"html": "x" * 100_001}])
def test_text_needs_its_html(sent: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Text.model_validate(sent)
