"""Converts items as the official JavaScript client returns them into the form of the REST API (pure).

The client writes `_id` for `id`, and addresses of its media store for the objects that say which picture or video an
item has: see https://dev.wix.com/docs/sdk/articles/work-with-the-sdk/work-with-wix-media.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

_IMAGE = ("wix:image://v1/", "image://v1/")
_VIDEO = ("wix:video://v1/", "video://v1/")


def rest_form(value: Mapping[str, Any]) -> dict[str, Any]:
    """A gallery or an item in the form of the REST API. Content that already has it stays as it is."""
    rest = {**value}
    if "_id" in rest:
        rest.setdefault("id", rest.pop("_id"))
    for medium, field, read in (("image", "imageInfo", _image_info), ("video", "videoInfo", _video_info)):
        content = rest.get(medium)
        if isinstance(content, Mapping) and isinstance(content.get(field), str):
            rest[medium] = {**content, field: read(content[field])}
    return rest


def _image_info(address: str) -> dict[str, Any]:
    found = _parts(address, _IMAGE)
    if found is None:
        return {"url": address}
    media_id, name, options = found
    info = {"id": media_id, "height": _number(options, "originHeight"), "width": _number(options, "originWidth")}
    return info if name is None else {**info, "altText": name, "filename": name}


def _video_info(address: str) -> dict[str, Any]:
    found = _parts(address, _VIDEO)
    if found is None:
        return {"url": address}
    media_id, name, options = found
    info: dict[str, Any] = {"id": media_id} if name is None else {"id": media_id, "filename": name}
    poster = options.get("posterUri")
    if poster:
        size = {"height": _number(options, "posterHeight"), "width": _number(options, "posterWidth")}
        info["posters"] = [{"id": poster, **size}]
    return info


def _parts(address: str, schemes: tuple[str, ...]) -> tuple[str, str | None, dict[str, str]] | None:
    """Id, name and options of an address in the media store; None for any other address."""
    scheme = next((scheme for scheme in schemes if address.startswith(scheme)), None)
    if scheme is None:
        return None
    path, _, fragment = address.removeprefix(scheme).partition("#")
    media_id, _, name = path.partition("/")
    options = {key: values[0] for key, values in parse_qs(fragment).items()}
    return media_id, unquote(name) or None, options


def _number(options: Mapping[str, str], name: str) -> int:
    text = options.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0
