"""Galleries of any length are scrolled smoothly, also those whose grid is taller than an element can be."""

import json
import re
import statistics
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, Route, expect

from tests.support.console_flows import create_gallery, sign_in, titles
from tests.support.product import Gateway

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("console")]

SLOWEST_FRAME_MS = 250
"""The median of frames while somebody scrolls. docs/console.md has what it is on a machine that does nothing else."""

SCROLL = """async (element) => {
  const frames = [];
  let last = await new Promise(requestAnimationFrame);
  for (let step = 0; step < 60; step += 1) {
    element.scrollTop += 400;
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  return frames;
}"""


async def as_if_it_had(page: Page, gallery_id: str, total: int) -> None:
    """Answer requests as if the gallery had this many items: writing them would take minutes."""

    async def head(route: Route) -> None:
        answer = await route.fetch()
        body = await answer.json()
        body["gallery"]["totalItems"] = total
        await route.fulfill(response=answer, json=body)

    async def items(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        first, count = int(query["itemOffset"][0]), int(query["itemLimit"][0])
        listed = [
            {"id": f"{place:08}-0000-4000-8000-000000000000", "title": f"item {place}", "type": "TEXT"}
            for place in range(first, min(total, first + count))
        ]
        await route.fulfill(status=200, body=json.dumps({"items": listed}), content_type="application/json")

    await page.route(re.compile(rf"/galleries/{gallery_id}\?"), head)
    await page.route(re.compile(rf"/galleries/{gallery_id}/items\?"), items)


async def test_a_grid_of_a_million_rows_has_every_place(page: Page, gateway: Gateway) -> None:
    gallery_id = await create_gallery(gateway, "Tall")
    total = 2_400_001
    await as_if_it_had(page, gallery_id, total)
    await page.set_viewport_size({"width": 360, "height": 640})
    await sign_in(page, gateway, f"/#/galleries/{gallery_id}")
    await expect(titles(page).first).to_have_text("item 0")
    grid = page.get_by_role("listbox")
    await grid.focus()
    await page.keyboard.press("End")
    last = page.get_by_role("option", name=f"item {total - 1}")
    await expect(last).to_be_in_viewport()
    await grid.hover()
    await page.mouse.wheel(0, -400)
    await expect(page.get_by_role("option", name=f"item {total - 9}")).to_be_in_viewport()
    await expect(last).not_to_be_in_viewport()

    # The scroll bar leads to the part with the same share, and a wheel moves by rows there too.
    await grid.evaluate("(element) => { element.scrollTop = (element.scrollHeight - element.clientHeight) / 2 }")
    await expect(titles(page).first).to_have_text(re.compile(r"^item 1(199|200)\d\d\d$"))
    (first, *_) = await titles(page).all_text_contents()
    place = int(first.removeprefix("item "))
    await page.mouse.wheel(0, 2 * 112)
    await expect(titles(page).first).to_have_text(f"item {place + 4}")
    await grid.focus()
    await page.keyboard.press("Home")
    await expect(page.get_by_role("option", name="item 0 TEXT")).to_be_in_viewport()
    assert await page.get_by_role("option").count() < 60


async def test_scrolling_through_tens_of_thousands_of_items_is_smooth(page: Page, gateway: Gateway) -> None:
    gallery_id = await create_gallery(gateway, "Many")
    await as_if_it_had(page, gallery_id, 50_000)
    await page.set_viewport_size({"width": 1280, "height": 900})
    await sign_in(page, gateway, f"/#/galleries/{gallery_id}")
    await expect(titles(page).first).to_have_text("item 0")
    frames = await page.get_by_role("listbox").evaluate(SCROLL)
    tiles = await page.get_by_role("option").count()
    print(f"{tiles} tiles; frames of {statistics.median(frames):.1f} ms, the slowest of {max(frames):.1f} ms")
    assert tiles < 120
    assert statistics.median(frames) < SLOWEST_FRAME_MS
    await expect(titles(page).first).to_have_text("item 1484")
