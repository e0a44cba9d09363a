"""People look at galleries in a browser, and see changes as they happen."""

import pytest
from playwright.async_api import Page, expect

from tests.support.console_flows import NASTY, Requests, create_gallery, sign_in, text
from tests.support.installation import Installation
from tests.support.product import KEY, Gateway
from triptych.gateway.access.keys import store_key

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("console")]


async def test_a_key_is_tried_kept_by_the_tab_and_forgotten(page: Page, gateway: Gateway) -> None:
    await sign_in(page, gateway, key="wrong")
    await expect(page.get_by_role("alert")).to_have_text("The gateway does not know this API key.")
    await sign_in(page, gateway)
    await expect(page.get_by_role("heading", name="Galleries")).to_be_visible()
    stored = await page.evaluate("[Object.values({...sessionStorage}).join(), localStorage.length, document.cookie]")
    assert (KEY in stored[0], stored[1:]) == (True, [0, ""])
    await page.reload()
    await expect(page.get_by_text("This site has no galleries.")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("API key")).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0


async def test_the_navigation_has_what_the_scopes_of_the_key_allow(
    page: Page, gateway: Gateway, made: Installation
) -> None:
    site_id = gateway.client.headers["wix-site-id"]
    await store_key(made.database, f"none-{site_id}", site_id=site_id, scopes=[], name="tests")
    await sign_in(page, gateway, key=f"none-{site_id}")
    await expect(page.get_by_role("alert")).to_have_text("This API key allows nothing that the console shows.")
    rooms = page.get_by_role("navigation", name="Rooms")
    await expect(rooms.get_by_role("link")).to_have_count(0)
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, gateway)
    await expect(rooms.get_by_role("link", name="Galleries")).to_have_attribute("aria-current", "page")


async def test_the_list_shows_changes_as_they_happen_and_has_pages(page: Page, gateway: Gateway) -> None:
    await sign_in(page, gateway)
    await expect(page.get_by_text("Changes are shown as they happen.")).to_be_visible()
    gallery_id = await create_gallery(gateway, NASTY, items=2)
    await expect(page.get_by_role("link", name=NASTY)).to_be_visible()
    await expect(page.get_by_text("2 items")).to_be_visible()
    await gateway.client.patch(f"/v2/galleries/{gallery_id}", json={"gallery": {"name": "Sea"}})
    await expect(page.get_by_role("link", name="Sea")).to_be_visible()
    for number in range(10):
        await create_gallery(gateway, f"newer {number}")
    await expect(page.get_by_text("1–10 of 11")).to_be_visible()
    await expect(page.get_by_role("link", name="Sea")).to_have_count(0)
    await page.get_by_role("button", name="Older").click()
    await expect(page.get_by_text("11–11 of 11")).to_be_visible()
    await gateway.client.delete(f"/v2/galleries/{gallery_id}")
    await expect(page.get_by_text("10 galleries")).to_be_visible()
    await expect(page.get_by_role("link", name="newer 0")).to_be_visible()
    assert await page.title() == "Triptych"


async def test_a_long_gallery_is_shown_and_read_a_screen_at_a_time(page: Page, gateway: Gateway) -> None:
    gallery_id = await create_gallery(gateway, "Long", items=1_500)
    first, last = await first_and_last(gateway, gallery_id, 1_500)
    read: list[str] = []
    page.on("request", lambda request: read.append(request.url) if "/items?" in request.url else None)
    await sign_in(page, gateway, f"/#/galleries/{gallery_id}")
    items = page.get_by_role("listbox", name="Items of Long")
    await expect(items.get_by_role("option").first).to_contain_text(first)
    await items.focus()
    await page.keyboard.press("End")
    await expect(items.get_by_role("option", selected=True)).to_contain_text(last)
    assert await items.get_by_role("option").count() < 120
    assert len(read) <= 6
    await page.keyboard.press("Enter")
    details = page.get_by_role("region", name="Item", exact=True)
    await expect(details.get_by_role("heading")).to_have_text(last)
    await details.get_by_role("button", name="Close").click()
    await expect(items).to_be_focused()


async def first_and_last(gateway: Gateway, gallery_id: str, total: int) -> tuple[str, str]:
    titles = []
    for offset in (0, total - 1):
        page = await gateway.client.get(f"/v2/galleries/{gallery_id}/items?itemLimit=1&itemOffset={offset}")
        titles.append(page.json()["items"][0]["title"])
    return titles[0], titles[1]


async def test_changes_of_items_are_shown_and_a_deleted_gallery_says_so(page: Page, gateway: Gateway) -> None:
    gallery_id = await create_gallery(gateway, "Live", items=1)
    await sign_in(page, gateway, f"/#/galleries/{gallery_id}")
    await expect(page.get_by_text("1 item. Changes are shown as they happen.")).to_be_visible()
    created = await gateway.client.post(f"/v2/galleries/{gallery_id}/items", json={"item": text(NASTY)})
    await expect(page.get_by_role("option").first).to_contain_text(NASTY)
    await expect(page.get_by_text("2 items")).to_be_visible()
    path = f"/v2/galleries/{gallery_id}/items/{created.json()['item']['id']}"
    await gateway.client.patch(path, json={"item": {"title": "changed"}})
    await expect(page.get_by_role("option").first).to_contain_text("changed")
    await page.get_by_role("link", name="What happened to this gallery").click()
    events = page.get_by_role("list", name="Events, newest first").get_by_role("listitem")
    await expect(events).to_have_count(4)
    await expect(page.get_by_label("Gallery (id)")).to_have_value(gallery_id)
    await page.get_by_role("link", name="Show the gallery").click()
    await expect(page.get_by_role("option").first).to_contain_text("changed")
    await gateway.client.delete(f"/v2/galleries/{gallery_id}")
    await expect(page.get_by_role("alert")).to_contain_text("This gallery was deleted.")
    assert await page.title() == "Triptych"


async def test_a_gateway_that_is_away_is_said_and_found_again(page: Page, gateway: Gateway) -> None:
    await sign_in(page, gateway)
    await expect(page.get_by_text("This site has no galleries.")).to_be_visible()
    await page.route("**/progallery/**", lambda route: route.abort())
    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text("The gateway does not answer.")
    await page.unroute("**/progallery/**")
    await expect(page.get_by_text("Changes are shown as they happen.")).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)

    # Events come, and what they have changed cannot be read.
    away = {"status": 503, "json": {"message": "", "details": {}, "problems": {"mongodb": "no answer"}}}
    for pattern in ("**/galleries?*", "**/health/ready"):
        await page.route(pattern, lambda route: route.fulfill(**away))
    await create_gallery(gateway, "meanwhile")
    await expect(page.get_by_role("alert")).to_contain_text("MongoDB does not answer the gateway.")
    await page.unroute_all()
    await expect(page.get_by_role("link", name="meanwhile")).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_nothing_is_asked_for_while_nothing_happens(page: Page, gateway: Gateway) -> None:
    gallery_id = await create_gallery(gateway, "Quiet", items=3)
    await page.clock.install()
    asked = Requests(page)
    await sign_in(page, gateway, f"/#/galleries/{gallery_id}")
    await page.clock.run_for(1_000)
    await expect(page.get_by_text("3 items. Changes are shown as they happen.")).to_be_visible()
    await expect(page.get_by_role("option")).to_have_count(3)
    await asked.settle()
    before = len(asked.urls)
    await page.clock.run_for(600_000)
    assert len(asked.urls) == before
    assert before < 20


async def test_it_fits_a_narrow_screen_in_the_dark(page: Page, gateway: Gateway) -> None:
    gallery_id = await create_gallery(gateway, "A" * 80, items=7)
    await page.set_viewport_size({"width": 360, "height": 640})
    await page.emulate_media(color_scheme="dark")
    await sign_in(page, gateway)
    await page.get_by_role("link", name="A" * 80).click()
    await expect(page.get_by_role("option")).to_have_count(7)
    assert gallery_id in page.url
    wide = "document.scrollingElement.scrollWidth"
    assert await page.evaluate(wide) == 360
    assert await page.evaluate("getComputedStyle(document.querySelector('.tile')).backgroundColor") == "rgb(30, 35, 43)"


async def test_the_viewers_show_operations_and_topics(page: Page) -> None:
    await page.goto("/docs")
    await page.get_by_role("button", name="GET /progallery/v2/galleries", exact=False).first.click()
    await expect(page.get_by_role("button", name="Try it out")).to_be_visible()
    await page.goto("/asyncapi")
    await expect(page.get_by_role("heading", name="CreateGallery", exact=True)).to_be_visible()
