"""What the tests of the console share: tabs, signing in, and galleries to look at."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Locator, Page, Request

from tests.support.product import KEY, ServedGateway
from tests.support.waiting import eventually

NASTY = "<img src=x onerror=\"document.title='broken'\">"
"""A text that runs as code where it is not escaped: then the page has another title."""


class Requests:
    """What a page asks for."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.urls: list[str] = []
        self._in_flight: set[Request] = set()
        page.on("request", self._begin)
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)

    async def settle(self) -> None:
        """Wait until the page, whose clock is installed, has read what it shows. Its clock runs meanwhile."""

        async def is_settled() -> bool:
            before = len(self.urls)
            # Two calm seconds: between two requests of one read, nothing is in flight.
            for _ in range(2):
                await self._page.clock.run_for(1_000)
                if self._in_flight or len(self.urls) != before:
                    return False
            return True

        await eventually(is_settled, "the page has read what it shows")

    def _begin(self, request: Request) -> None:
        self.urls.append(request.url)
        if not request.url.endswith("/events"):  # a stream, which never ends
            self._in_flight.add(request)

    def _end(self, request: Request) -> None:
        self._in_flight.discard(request)


@asynccontextmanager
async def opened_tab(browser: Browser, gateway: ServedGateway) -> AsyncIterator[Page]:
    """A tab of a browser of its own, with its own storage."""
    context = await browser.new_context(base_url=gateway.address)
    tab = await context.new_page()
    tab.set_default_timeout(20_000)
    elsewhere: list[str] = []
    broken: list[str] = []
    tab.on("request", lambda request: elsewhere.append(request.url))
    tab.on("pageerror", lambda error: broken.append(str(error)))
    tab.on("console", lambda message: broken.append(message.text) if "Security Policy" in message.text else None)
    yield tab
    await context.close()
    assert elsewhere
    assert not [url for url in elsewhere if not url.startswith((gateway.address, "data:"))]
    assert not broken


async def sign_in(page: Page, gateway: ServedGateway, place: str = "/", key: str = KEY) -> None:
    """Enter a key and the site of the test."""
    await page.goto(place)
    await page.get_by_label("API key").fill(key)
    await page.get_by_label("Site", exact=True).fill(gateway.client.headers["wix-site-id"])
    await page.get_by_role("button", name="Sign in").click()


async def create_gallery(gateway: ServedGateway, name: str, items: int = 0) -> str:
    """A gallery of text items, which are shown in the order of their numbers if they are at most 500."""
    answer = await gateway.client.post("/v2/galleries", json={"gallery": {"name": name}})
    gallery_id: str = answer.json()["gallery"]["id"]
    for first in range(0, items, 500):
        listed = [text(f"item {number}") for number in range(first, min(first + 500, items))]
        (await gateway.client.post(f"/v2/galleries/{gallery_id}/items/bulk", json={"items": listed})).raise_for_status()
    return gallery_id


def text(title: str) -> dict[str, Any]:
    """A text item to create."""
    return {"title": title, "text": {"html": "<p>x</p>"}}


def titles(page: Page) -> Locator:
    """The titles of the items that are shown."""
    return page.get_by_role("option").locator("b")


async def stored(gateway: ServedGateway, gallery_id: str) -> list[dict[str, Any]]:
    """The items as the API shows them."""
    page = await gateway.client.get(f"/v2/galleries/{gallery_id}/items?itemLimit=200")
    items: list[dict[str, Any]] = page.json()["items"]
    return items
