"""Takes the pictures of the console for the documentation, on a stack of its own, with `make screenshots`.

A further page joins with a line in `SHOTS`.
"""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from aiohttp import web
from playwright.async_api import Browser, async_playwright

from tests.support.installation import open_installation
from tests.support.product import KEY, Gateway, running_product
from tests.support.receiver import Receiver, open_receiver, status
from tests.support.relay import ALL_TYPES, relay_settings
from tests.support.waiting import eventually
from triptych.devstack.stack import Addresses, local_stack
from triptych.webhooks.app import compose

FOLDER = Path(__file__).parents[2] / "docs" / "images"
LARGEST = 100_000
SIZE: Any = {"width": 1000, "height": 640}
TITLES = ("Harbour at dawn", "Salt pans", "Lighthouse", "Nets", "Low tide", "Ferry", "Breakwater", "Gulls", "Fog")

Ids: TypeAlias = dict[str, str]


@dataclass(frozen=True)
class Shot:
    """A picture: its name, the place of the page, and a text that is there once the page is complete."""

    name: str
    place: Callable[[Ids], str]
    shown: str


SHOTS = (
    Shot("console-galleries", lambda ids: "#/galleries", "Harbours"),
    Shot("console-gallery", lambda ids: f"#/galleries/{ids['gallery']}", "Salt pans"),
    Shot("console-listeners", lambda ids: "#/listeners", "Half open"),
    Shot("console-listener", lambda ids: f"#/listeners/{ids['listener']}", "Gallery created"),
    Shot("console-delivery", lambda ids: f"#/listeners/{ids['listener']}/{ids['delivery']}", "webhook-signature"),
)


async def fill(gateway: Gateway, receiver: Receiver) -> Ids:
    """Galleries, items and listeners to show, by requests like everybody's."""

    async def create(path: str, **body: Any) -> Any:
        return (await gateway.client.post(path, json=body)).raise_for_status().json()

    async def listen(path: str, description: str, **fields: Any) -> str:
        wanted = {"url": receiver.url(path), "eventTypes": ALL_TYPES, "description": description, **fields}
        return str((await create(f"{gateway.address}/v1/listeners", listener=wanted))["listener"]["id"])

    async def answer(request: web.Request) -> web.StreamResponse:
        works = request.path == "/search"
        return await (status(200, b'{"ok":true}') if works else status(500, b"no such table"))(request)

    receiver.usual = answer
    receiver.script = [status(503, b"try again later")]
    listener = await listen("/search", "Search index", retryDelays=[0.3])
    for name in ("People at work", "Islands", "Winter", "Boats"):
        await create("/v2/galleries", gallery={"name": name})
    gallery = (await create("/v2/galleries", gallery={"name": "Harbours"}))["gallery"]["id"]
    items = [{"title": title, "text": {"html": f"<p>{title}</p>"}} for title in TITLES * 3]
    await create(f"/v2/galleries/{gallery}/items/bulk", items=items)
    await receiver.until(len(items) + 6, "/search")
    await listen("/newsletter", "Newsletter", retryDelays=[0.05, 600])
    for name in ("Markets", "Night", "Streets"):
        await create("/v2/galleries", gallery={"name": name})
    log = f"{gateway.address}/v1/listeners/{listener}/deliveries"

    async def retried() -> str | None:
        found = (await gateway.client.get(log, params={"status": "delivered"})).json()["deliveries"]
        return next((str(one["id"]) for one in found if one["attempts"] > 1), None)

    return {"gallery": gallery, "listener": listener, "delivery": await eventually(retried, "a retried delivery")}


async def take(browser: Browser, gateway: Gateway, ids: Ids) -> None:
    """Write the pictures. Raises AssertionError if one is too large for the repository."""
    context = await browser.new_context(base_url=gateway.address, viewport=SIZE)
    page = await context.new_page()
    await page.goto("/")
    await page.get_by_label("API key").fill(KEY)
    await page.get_by_role("button", name="Sign in").click()
    for shot in SHOTS:
        await page.goto(f"/{shot.place(ids)}")
        await page.get_by_text(shot.shown).locator("visible=true").first.wait_for()
        file = FOLDER / f"{shot.name}.png"
        await page.screenshot(path=file, animations="disabled")
        size = file.stat().st_size
        print(f"{file.relative_to(FOLDER.parents[1])}  {size:,} bytes")
        assert size < LARGEST, file
    await context.close()


async def run(addresses: Addresses, chromium: str) -> None:
    """Start the product, fill it, and take the pictures."""
    FOLDER.mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(open_installation(addresses))
        gateway = await stack.enter_async_context(running_product(made, gateway_view_timeout=30, local=True))
        await stack.enter_async_context(compose(relay_settings(made)))
        receiver = await stack.enter_async_context(open_receiver())
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        await take(browser, gateway, await fill(gateway, receiver))
        await browser.close()


def main() -> int:
    """0, or 1 without a browser."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory(prefix="triptych-pictures-") as folder,
        local_stack(data_dir=Path(folder), keep=False) as addresses,
    ):
        asyncio.run(run(addresses, chromium))
    return 0


if __name__ == "__main__":
    sys.exit(main())
