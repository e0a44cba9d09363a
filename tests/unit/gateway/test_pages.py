"""The pages for browsers load files of the gateway only, and their headers forbid anything else."""

import gzip
import json
import re
from functools import cache
from html.parser import HTMLParser

import pytest
from fastapi import FastAPI

from tests.support.gateway_alone import Reply, request, standalone_gateway
from triptych.gateway.pages.topics_page import topics_page

PAGES = ("/docs", "/asyncapi")
LOADING = {
    "href": {"link"},
    "src": {"script", "img", "iframe", "source", "video", "audio", "embed"},
    "data": {"object"},
}
STYLE_TARGET = re.compile(r"@import|url\((?!\s*[\"']?(?:data:|#))")


@cache
def alone() -> FastAPI:
    return standalone_gateway()


class Reading(HTMLParser):
    """What a page loads, and what is written into it that a strict policy forbids."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.ids: set[str] = set()
        self.inner: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loaded += [given[name] or "" for name, tags in LOADING.items() if tag in tags and name in given]
        self.inline += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.ids.add(given.get("id") or "")
        if (target := given.get("href") or "").startswith("#"):
            self.inner.add(target.removeprefix("#"))


async def get(path: str, **headers: str) -> Reply:
    fields = {name.replace("_", "-"): value.encode() for name, value in headers.items()}
    return await request(alone(), "GET", path.encode(), {"authorization": b"", **fields})


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_loads_files_of_this_gateway_only(path: str) -> None:
    page = await get(path)
    read = Reading(page.body.decode())
    assert (page.status, read.inline) == (200, [])
    loaded = [target for target in read.loaded if not target.startswith("data:")]
    assert loaded
    for target in loaded:
        assert re.fullmatch(r"[a-z-]+-files/[0-9a-f]{16}/[a-z-]+\.(js|css)", target), target
        file = await get(f"/{target}")
        assert (file.status, file.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
        if target.endswith(".css"):
            assert not STYLE_TARGET.search(file.body.decode())


@pytest.mark.parametrize("path", PAGES)
async def test_the_policy_of_a_page_allows_files_of_this_gateway_only(path: str) -> None:
    headers = (await get(path)).headers
    policy = dict(one.split(" ", 1) for one in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {source for sources in policy.values() for source in sources.split()} <= {"'self'", "'none'", "data:"}
    assert "data:" not in policy["script-src"] + policy["style-src"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert headers["cache-control"] == "no-cache"


async def test_swagger_ui_asks_no_other_host_to_validate_the_document() -> None:
    (start,) = re.findall(r'src="(\S+/operations\.js)"', (await get("/docs")).body.decode())
    assert "validatorUrl: null" in (await get(f"/{start}")).body.decode()


async def test_files_are_compressed_for_those_who_accept_it() -> None:
    (style,) = re.findall(r'href="(\S+\.css)"', (await get("/docs")).body.decode())
    plain, compressed = await get(f"/{style}"), await get(f"/{style}", accept_encoding="gzip, br")
    assert "content-encoding" not in plain.headers
    assert compressed.headers["content-encoding"] == "gzip"
    assert compressed.headers["content-type"] == "text/css; charset=utf-8"
    assert (gzip.decompress(compressed.body), len(compressed.body) < len(plain.body)) == (plain.body, True)


@pytest.mark.parametrize("path", ["/docs-files/0/unknown.js", "/docs-files/0/..%2foperations_page.py"])
async def test_an_unknown_file_is_not_found(path: str) -> None:
    reply = await get(path)
    assert (reply.status, reply.headers["content-type"]) == (404, "application/json")


async def test_a_file_of_another_release_is_served_as_it_is_now_and_not_kept() -> None:
    reply = await get("/docs-files/0123456789abcdef/swagger-ui.css")
    assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")


async def test_the_page_about_topics_shows_every_topic_message_and_object() -> None:
    document = json.loads((await get("/asyncapi.json")).body)
    page = (await get("/asyncapi")).body.decode()
    read = Reading(page)
    for channel in document["channels"].values():
        assert f">{channel['address']}</h2>" in page
    for name in document["components"]["schemas"]:
        assert f">{name}</h3>" in page
    assert read.inner
    assert read.inner <= read.ids


def test_the_page_about_topics_escapes_every_text() -> None:
    nasty = "<script>&\"'"
    field = {"description": nasty, "type": "string", "pattern": nasty, "default": nasty}
    schema = {"description": nasty, "properties": {nasty: field, "other": {"enum": [nasty]}, "link": {"$ref": nasty}}}
    page = topics_page(
        {
            "info": {"title": nasty, "description": nasty},
            "channels": {nasty: {"address": nasty, "description": nasty, "messages": {nasty: {}}}},
            "operations": {"read": {"action": "receive", "channel": {"$ref": f"#/channels/{nasty}"}}},
            "components": {
                "messages": {nasty: {"payload": {"$ref": f"#/{nasty}"}, "headers": {"properties": {nasty: {}}}}},
                "schemas": {nasty: schema, "B": {"type": "string", "pattern": nasty}},
            },
        },
        nasty,
    )
    assert "<script" not in page
    assert nasty[-4:] not in page
    assert "Triptych reads this topic." in page
