"""People change galleries and items in the console."""

import asyncio
from typing import Literal

import pytest
from playwright.async_api import Page, Route, expect

from tests.support.accessibility import serious_problems
from tests.support.console_flows import create_gallery, sign_in, stored, text, titles
from tests.support.installation import Installation
from tests.support.product import Gateway
from triptych.gateway.access.keys import Scope, store_key

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("console")]

HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>parent.document.title='broken'</script>"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
NAMES = [f"item {number}" for number in range(6)]


def reordered(*order: int) -> list[str]:
    return [NAMES[number] for number in order]


async def test_a_drag_is_shown_at_once_confirmed_and_seen_by_others(
    page: Page, other_page: Page, gateway: Gateway
) -> None:
    gallery_id = await create_gallery(gateway, "Order", items=6)
    for tab in (page, other_page):
        await sign_in(tab, gateway, f"/#/galleries/{gallery_id}")
        await expect(titles(tab)).to_have_text(NAMES)
    asked: asyncio.Queue[Route] = asyncio.Queue()
    await page.route("**/items/move", asked.put)
    tiles = page.get_by_role("option")
    await tiles.nth(4).click(modifiers=["Control"])
    await tiles.nth(1).click(modifiers=["Control"])
    await tiles.nth(1).drag_to(tiles.nth(0), target_position={"x": 5, "y": 50})
    moved = reordered(1, 4, 0, 2, 3, 5)
    await expect(titles(page)).to_have_text(moved)
    await expect(titles(other_page)).to_have_text(NAMES)
    await (await asked.get()).continue_()
    await expect(page.get_by_text("2 items were moved.")).to_be_visible()
    await expect(titles(other_page)).to_have_text(moved)
    await expect(titles(page)).to_have_text(moved)
    assert [item["title"] for item in await stored(gateway, gallery_id)] == moved

    # What the gateway refuses is taken back, and says why.
    await tiles.nth(5).drag_to(tiles.nth(0), target_position={"x": 5, "y": 50})
    await expect(titles(page)).to_have_text(reordered(5, 1, 4, 0, 2, 3))
    await (await asked.get()).fulfill(status=404, json={"message": "", "details": {}})
    await expect(page.get_by_text("The move was taken back: This does not exist")).to_be_visible()
    await expect(titles(page)).to_have_text(moved)


async def test_items_are_moved_by_keyboard_and_by_buttons(page: Page, gateway: Gateway) -> None:
    gallery_id = await create_gallery(gateway, "Keys", items=6)
    await sign_in(page, gateway, f"/#/galleries/{gallery_id}")
    await expect(titles(page)).to_have_text(NAMES)
    items = page.get_by_role("listbox", name="Items of Keys")
    await items.focus()
    for key in ("ArrowRight", "Shift+ArrowRight", "Alt+ArrowRight", "Alt+ArrowRight"):
        await page.keyboard.press(key)
    await expect(page.get_by_text("2 items are selected.")).to_be_visible()
    await expect(titles(page)).to_have_text(reordered(0, 3, 4, 1, 2, 5))
    await page.keyboard.press("Alt+Home")
    await expect(titles(page)).to_have_text(reordered(1, 2, 0, 3, 4, 5))
    await page.keyboard.press("End")
    bar = page.get_by_role("group", name="Selected items")
    await bar.get_by_label("Place").fill("2")
    await bar.get_by_role("button", name="Move there").click()
    await expect(titles(page)).to_have_text(reordered(1, 5, 2, 0, 3, 4))
    await bar.get_by_role("button", name="To the end").click()
    last = reordered(1, 2, 0, 3, 4, 5)
    await expect(titles(page)).to_have_text(last)
    await expect(page.get_by_text("1 item was moved.")).to_be_visible()
    assert [item["title"] for item in await stored(gateway, gallery_id)] == last
    await items.focus()
    await page.keyboard.press("Control+a")
    await expect(page.get_by_text("6 items are selected.")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(bar).to_have_count(0)


async def test_galleries_are_found_by_the_beginning_of_their_name(page: Page, gateway: Gateway) -> None:
    for number in range(12):
        await create_gallery(gateway, f"Sea {number:02}")
    await create_gallery(gateway, "Land")
    await sign_in(page, gateway)
    await expect(page.get_by_text("13 galleries")).to_be_visible()
    await page.get_by_label("Find by the beginning of the name").fill("séa")
    await expect(page.get_by_text("12 galleries found")).to_be_visible()
    await expect(page.get_by_role("link", name="Sea 09")).to_be_visible()
    await page.get_by_role("button", name="Next page").click()
    await expect(page.get_by_text("11–12 of 12")).to_be_visible()
    await page.get_by_role("button", name="Previous page").click()
    await expect(page.get_by_role("link", name="Sea 00")).to_be_visible()
    await page.get_by_label("Find by the beginning of the name").fill("a sea")
    await expect(page.get_by_text("No name begins with this.")).to_be_visible()


async def test_a_gallery_is_created_renamed_copied_emptied_and_deleted(page: Page, gateway: Gateway) -> None:
    await sign_in(page, gateway)
    name = page.get_by_label("Name of the new gallery")
    await name.fill("x" * 1_001)
    await page.get_by_role("button", name="Create gallery").click()
    await expect(name).to_have_accessible_description("must be at most 1000 characters long")
    await name.fill(HOSTILE)
    await page.get_by_role("button", name="Create gallery").click()
    await expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
    gallery_id = page.url.rpartition("/")[2]
    path = f"/v2/galleries/{gallery_id}"
    (await gateway.client.post(f"{path}/items", json={"item": text("kept")})).raise_for_status()

    await page.get_by_role("button", name="Rename").click()
    await page.get_by_label("Name", exact=True).fill("Mine")
    await gateway.client.patch(path, json={"gallery": {"name": "Theirs"}})
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert")).to_have_text("Somebody has renamed the gallery meanwhile.")
    await expect(page.get_by_role("definition")).to_have_text(["Mine", "Theirs"])
    await gateway.client.post(f"{path}/items", json={"item": text("another change")})
    await page.get_by_role("button", name="Your version").click()
    await expect(page.get_by_role("heading", name="Mine")).to_be_visible()

    await page.get_by_role("button", name="Space sort orders evenly").click()
    await expect(page.get_by_text("The sort orders are even now.")).to_be_visible()
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("heading", name="Copy of Mine")).to_be_visible()
    await expect(titles(page)).to_have_text(["another change", "kept"])

    await page.get_by_role("button", name="Delete all items").click()
    await page.get_by_role("button", name="Undo").click()
    await page.get_by_role("button", name="Delete all items").click()
    await page.get_by_role("button", name="Delete now").click()
    await expect(page.get_by_text("This gallery has no items.")).to_be_visible()
    await page.get_by_role("button", name="Delete gallery").click()
    await page.get_by_role("link", name="All galleries").click()  # leaving does not undo
    await expect(page.get_by_role("link", name="Mine")).to_have_count(1)
    await expect(page.get_by_text("1 gallery", exact=False)).to_be_visible()
    assert len(await stored(gateway, gallery_id)) == 2
    assert await page.title() == "Triptych"


async def test_items_of_every_kind_are_created_with_words_beside_what_is_wrong(page: Page, gateway: Gateway) -> None:
    gallery_id = await create_gallery(gateway, "New")
    await sign_in(page, gateway, f"/#/galleries/{gallery_id}")
    form = page.get_by_role("region", name="New item")
    save = form.get_by_role("button", name="Create item")
    opened = page.get_by_role("button", name="Create item").first

    await opened.click()
    address = form.get_by_label("Address of the image")
    await address.fill("data:x")
    await form.get_by_label("Quality").fill("7")
    await form.get_by_label("EXIF").fill('{"a":')
    await save.click()
    exif = form.get_by_label("EXIF")
    await expect(exif).to_have_attribute("aria-invalid", "true")
    await expect(form.locator("#image\\.exif-problem")).to_contain_text("must be JSON")
    await exif.fill('{"iso": 9007199254740993}')
    await save.click()
    await expect(address).to_have_accessible_description("must be an http or https address")
    await expect(form.get_by_label("Quality")).to_have_accessible_description("30 to 100 must be at least 30")
    await address.fill("https://example.com/a.jpg")
    await form.get_by_label("Quality").fill("70")
    await form.get_by_label("Focal point, x").fill("0.25")
    await form.get_by_label("Focal point, y").fill("0.5")
    await form.get_by_label("Title").fill("image")
    await form.get_by_label("Tags").fill("sea\nsky")
    await save.click()
    await expect(titles(page)).to_have_text(["image"])

    for medium, label, value in (
        ("Video", "Address of the video", "https://youtu.be/x"),
        ("Text", "HTML", HOSTILE),
    ):
        await opened.click()
        await form.get_by_label(medium, exact=True).check()
        await form.get_by_label(label, exact=True).fill(value)
        await form.get_by_label("Title").fill(medium)
        await save.click()
        await expect(titles(page).first).to_have_text(medium)
    words, video, image = await stored(gateway, gallery_id)
    assert (words["text"]["html"], video["video"]["type"]) == (HOSTILE, "YOUTUBE")
    assert (image["image"]["focalPoint"], image["tags"]["values"]) == ({"x": 0.25, "y": 0.5}, ["sea", "sky"])
    assert image["image"]["exif"] == {"iso": 9007199254740993}

    # The frame of a text has no script and no origin.
    await page.get_by_role("option").first.click()
    frame = page.locator("iframe")
    await expect(frame.content_frame.locator("img")).to_have_count(1)
    assert await frame.get_attribute("sandbox") == ""
    assert await page.title() == "Triptych"


async def test_a_change_keeps_what_others_change_and_asks_about_the_same_field(page: Page, gateway: Gateway) -> None:
    gallery_id = await create_gallery(gateway, "Both", items=2)
    (item, _) = await stored(gateway, gallery_id)
    path = f"/v2/galleries/{gallery_id}/items/{item['id']}"
    await gateway.client.patch(path, json={"item": {"link": {"url": "https://a.example"}}})
    await sign_in(page, gateway, f"/#/galleries/{gallery_id}")
    await page.get_by_role("option").first.click()
    await page.get_by_role("button", name="Edit").click()
    form = page.get_by_role("region", name="Edit item")
    await form.get_by_label("Description").fill("mine")
    await form.get_by_label("Address of the link").fill("")
    await gateway.client.patch(path, json={"item": {"title": "theirs", "tags": {"values": ["t"]}}})
    await form.get_by_role("button", name="Save").click()
    await expect(form).to_have_count(0)
    changed = (await stored(gateway, gallery_id))[0]
    assert (changed["title"], changed["description"], changed["tags"]) == ("theirs", "mine", {"values": ["t"]})
    assert "link" not in changed

    await page.get_by_role("option").first.click()
    await page.get_by_role("button", name="Edit").click()
    await form.get_by_label("Title").fill("also mine")
    await form.get_by_label("Description").fill("mine again")
    await gateway.client.patch(path, json={"item": {"title": "theirs again", "description": "theirs too"}})
    await form.get_by_role("button", name="Save").click()
    await expect(form.get_by_role("alert")).to_contain_text("Somebody has changed the same fields")
    await form.get_by_role("group", name="Title").get_by_label("Your version: also mine").check()
    await form.get_by_role("group", name="Description").get_by_label("The other version: theirs too").check()
    await form.get_by_role("button", name="Save").click()
    await expect(form).to_have_count(0)
    changed = (await stored(gateway, gallery_id))[0]
    assert (changed["title"], changed["description"]) == ("also mine", "theirs too")


async def test_a_deletion_can_be_undone_and_happens_when_the_tab_is_closed(
    page: Page, other_page: Page, gateway: Gateway
) -> None:
    gallery_id = await create_gallery(gateway, "Gone", items=6)
    for tab in (page, other_page):
        await sign_in(tab, gateway, f"/#/galleries/{gallery_id}")
        await expect(titles(tab)).to_have_text(NAMES)
    await page.get_by_role("option").nth(0).click()
    await page.get_by_role("option").nth(2).click(modifiers=["Shift"])
    await page.keyboard.press("Delete")
    await expect(page.get_by_text("3 items will be deleted.")).to_be_visible()
    await expect(page.get_by_role("option").first).to_contain_text("will be deleted")
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("option").first).not_to_contain_text("will be deleted")
    await page.get_by_role("option").nth(0).click(modifiers=["Control"])
    await page.get_by_role("option").nth(5).click(modifiers=["Control"])
    await page.get_by_role("listbox").focus()
    await page.keyboard.press("Delete")
    await expect(page.get_by_text("2 items will be deleted.")).to_be_visible()
    assert len(await stored(gateway, gallery_id)) == 6
    await page.close(run_before_unload=True)
    await expect(titles(other_page)).to_have_text(NAMES[1:5])


async def test_a_key_that_may_only_read_is_offered_no_change(page: Page, gateway: Gateway, made: Installation) -> None:
    gallery_id = await create_gallery(gateway, "Read", items=2)
    site_id = gateway.client.headers["wix-site-id"]
    await store_key(made.database, f"read-{site_id}", site_id=site_id, scopes=[Scope.READ], name="tests")
    await sign_in(page, gateway, f"/#/galleries/{gallery_id}", key=f"read-{site_id}")
    await page.get_by_role("option").first.click()
    await expect(page.get_by_role("region", name="Item", exact=True)).to_be_visible()
    assert await page.get_by_role("button").all_text_contents() == ["Sign out", "Close"]
    assert await page.get_by_role("option").first.get_attribute("draggable") != "true"
    await page.get_by_role("link", name="All galleries").click()
    await expect(page.get_by_role("link", name="Read")).to_be_visible()
    assert await page.get_by_role("button").all_text_contents() == ["Sign out"]


async def test_nothing_serious_keeps_anybody_out(page: Page, gateway: Gateway) -> None:
    gallery_id = await create_gallery(gateway, "A" * 80, items=7)
    await page.set_viewport_size({"width": 360, "height": 640})
    await sign_in(page, gateway)
    await expect(page.get_by_role("link", name="A" * 80)).to_be_visible()
    await check_access(page)
    await page.goto(f"/#/galleries/{gallery_id}")
    await page.get_by_role("option").first.click()
    await check_access(page)
    await page.get_by_role("button", name="Edit").click()
    form = page.get_by_role("region", name="Edit item")
    await form.get_by_label("Title").fill("x" * 1_001)
    await form.get_by_role("button", name="Save").click()
    await expect(form.get_by_label("Title")).to_have_attribute("aria-invalid", "true")
    await page.get_by_role("button", name="Delete", exact=True).click()
    await check_access(page)


async def check_access(page: Page) -> None:
    """axe-core finds nothing serious, by day and by night, and nothing is wider than the screen."""
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        assert await serious_problems(page) == [], scheme
    assert await page.evaluate("document.scrollingElement.scrollWidth") <= 360
