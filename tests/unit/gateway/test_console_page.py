"""The gateway serves the built console, and says how to build it where that was not done."""

from pathlib import Path

import pytest
from fastapi import FastAPI

from tests.support.gateway_alone import Reply, request
from triptych.gateway.http.errors import install_handlers
from triptych.gateway.pages.console_page import console_routes


async def get(folder: Path, path: str) -> Reply:
    app = FastAPI(routes=[*console_routes(folder)], openapi_url=None)
    install_handlers(app)
    return await request(app, "GET", path.encode())


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "console" / "console-files").mkdir(parents=True)
    (tmp_path / "console" / "index.html").write_text("<title>The console</title>")
    (tmp_path / "console" / "console-files" / "index-abc.js").write_text("start()")
    return tmp_path / "console"


async def test_the_page_is_asked_for_again_and_its_files_are_kept(built: Path) -> None:
    page, file = await get(built, "/"), await get(built, "/console-files/index-abc.js")
    assert (page.status, page.body, page.headers["cache-control"]) == (200, b"<title>The console</title>", "no-cache")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert (file.status, file.body) == (200, b"start()")
    assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert file.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("name", ["gone.js", "..", "..%2findex.html", ".", "%00", "a" * 300])
async def test_a_file_that_is_not_there_is_not_found(built: Path, name: str) -> None:
    assert (await get(built, f"/console-files/{name}")).status == 404


async def test_a_page_says_how_to_build_the_console_if_that_was_not_done(tmp_path: Path) -> None:
    page = await get(tmp_path / "none", "/")
    assert page.status == 404
    assert b"make console" in page.body
    assert page.headers["content-type"] == "text/html; charset=utf-8"
