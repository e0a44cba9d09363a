"""People see in a browser what happens, and follow one change from the request to the receiver."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.accessibility import serious_problems
from tests.support.installation import Installation
from tests.support.product import KEY, Gateway
from tests.support.receiver import open_receiver
from tests.support.relay import ALL_TYPES, relay_settings
from triptych.webhooks.app import compose

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("console")]

NASTY = "<img src=x onerror=\"document.title='broken'\">"
ITEM = {"title": NASTY, "text": {"html": "<p>x</p>"}}


async def sign_in(page: Page, gateway: Gateway, place: str) -> None:
    await page.goto(place)
    await page.get_by_label("API key").fill(KEY)
    await page.get_by_label("Site", exact=True).fill(gateway.client.headers["wix-site-id"])
    await page.get_by_role("button", name="Sign in").click()


async def created(gateway: Gateway, name: str) -> str:
    answer = await gateway.client.post("/v2/galleries", json={"gallery": {"name": name}})
    gallery_id: str = answer.json()["gallery"]["id"]
    return gallery_id


async def add_item(gateway: Gateway, gallery_id: str) -> str:
    answer = await gateway.client.post(f"/v2/galleries/{gallery_id}/items", json={"item": ITEM})
    item_id: str = answer.json()["item"]["id"]
    return item_id


async def test_events_are_shown_as_they_happen_paused_and_filtered(page: Page, gateway: Gateway) -> None:
    first = await created(gateway, "first")
    await sign_in(page, gateway, "/#/happened")
    events = page.get_by_role("list", name="Events, newest first")
    await expect(page.get_by_text("Events are shown as they happen.")).to_be_visible()
    await expect(events.get_by_role("listitem")).to_have_count(1)
    await add_item(gateway, first)
    await expect(events.get_by_role("link").first).to_have_text("Item created")
    await page.get_by_role("button", name="Pause").click()
    second = await created(gateway, "second")
    await expect(page.get_by_text("Paused. 1 new event waits.")).to_be_visible()
    await expect(events.get_by_role("listitem")).to_have_count(2)
    await page.get_by_role("button", name="Continue").click()
    await expect(events.get_by_role("listitem")).to_have_count(3)
    await page.get_by_label("Type of event").select_option("created")
    await expect(events.get_by_role("listitem")).to_have_count(2)
    await page.get_by_label("Gallery (id)").fill(first)
    await page.keyboard.press("Enter")
    await expect(events.get_by_role("listitem")).to_have_count(1)
    await expect(events).to_contain_text(first)
    await expect(events).not_to_contain_text(second)


async def test_one_change_is_followed_from_the_request_to_the_receiver(
    page: Page, gateway: Gateway, made: Installation
) -> None:
    async with open_receiver() as receiver, compose(relay_settings(made)):
        listener: Any = {"url": receiver.url(), "eventTypes": ALL_TYPES}
        await gateway.client.post(f"{gateway.address}/v1/listeners", json={"listener": listener})
        gallery_id = await created(gateway, "Sea")
        await sign_in(page, gateway, f"/#/happened/{gallery_id}")
        await expect(page.get_by_text("Events are shown as they happen.")).to_be_visible()
        item_id = await add_item(gateway, gallery_id)
        await receiver.until(2)
        await page.get_by_role("link", name="Item created").click()
    await expect(page.get_by_role("heading", name="Item created, No. 2")).to_be_visible()
    again = page.get_by_role("button", name="Read again")
    await expect(page.get_by_text("answer 200 after")).to_be_visible()
    steps = page.get_by_role("region", name="Times").get_by_role("rowheader")
    names = [
        "Command on its topic",
        "Command carried out",
        "Event on its topic",
        "Delivery planned",
        "Attempt to deliver",
    ]
    for name in names:
        await expect(steps.filter(has_text=name)).to_have_count(1)
    await again.click()
    await expect(page.get_by_text("CreateItems")).to_be_visible()
    await expect(page.get_by_role("definition").filter(has_text="accepted")).to_be_visible()
    await expect(page.get_by_role("region", name="Event", exact=True)).to_contain_text("onerror=")
    await expect(page.get_by_role("region", name="Joined record")).to_contain_text(item_id)
    await expect(page.get_by_text("commands, partition")).to_be_visible()
    assert await page.title() == "Triptych"
    assert await serious_problems(page) == []
    await page.set_viewport_size({"width": 360, "height": 640})
    await page.emulate_media(color_scheme="dark")
    assert await page.evaluate("document.scrollingElement.scrollWidth") == 360
    assert await serious_problems(page) == []


async def test_the_history_of_a_gallery_is_shown_or_how_to_keep_one(page: Page, gateway: Gateway) -> None:
    gallery_id = await created(gateway, "Sea")
    await add_item(gateway, gallery_id)
    await sign_in(page, gateway, f"/#/happened/{gallery_id}")
    past = page.get_by_role("region", name="History of the gallery")
    off = {"message": "no history is kept", "details": {}}
    await page.route("**/history?*", lambda route: route.fulfill(status=409, json=off))
    await past.get_by_role("button", name="Show the history").click()
    await expect(past.get_by_role("alert")).to_contain_text("TRIPTYCH_HISTORY_RETENTION")
    await page.unroute("**/history?*")
    await past.get_by_role("button", name="Show the history").click()
    await expect(past.get_by_role("link", name="Gallery created")).to_be_visible()
    await past.get_by_role("link", name="Gallery created").click()
    await expect(page.get_by_role("heading", name="Gallery created, No. 1")).to_be_visible()
    await expect(page.get_by_text("events, partition")).to_be_visible()


async def test_a_gateway_that_is_away_is_said_and_found_again(page: Page, gateway: Gateway) -> None:
    await sign_in(page, gateway, "/#/happened")
    await expect(page.get_by_text("Events are shown as they happen.")).to_be_visible()
    for pattern in ("**/progallery/**", "**/v1/**"):
        await page.route(pattern, lambda route: route.abort())
    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text("The gateway does not answer.")
    for pattern in ("**/progallery/**", "**/v1/**"):
        await page.unroute(pattern)
    await expect(page.get_by_text("Events are shown as they happen.")).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)
