"""What the tests of the console share: signing in, and galleries to look at."""

from typing import Any

from playwright.async_api import Locator, Page

from tests.support.product import KEY, Gateway

NASTY = "<img src=x onerror=\"document.title='broken'\">"
"""A text that runs as code where it is not escaped: then the page has another title."""


async def sign_in(page: Page, gateway: Gateway, place: str = "/", key: str = KEY) -> None:
    """Enter a key and the site of the test."""
    await page.goto(place)
    await page.get_by_label("API key").fill(key)
    await page.get_by_label("Site", exact=True).fill(gateway.client.headers["wix-site-id"])
    await page.get_by_role("button", name="Sign in").click()


async def create_gallery(gateway: Gateway, name: str, items: int = 0) -> str:
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


async def stored(gateway: Gateway, gallery_id: str) -> list[dict[str, Any]]:
    """The items as the API shows them."""
    page = await gateway.client.get(f"/v2/galleries/{gallery_id}/items?itemLimit=200")
    items: list[dict[str, Any]] = page.json()["items"]
    return items
