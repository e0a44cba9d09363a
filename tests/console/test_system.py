"""Operators see in a browser how the installation is, and handle dead letters."""

import uuid

import pytest
from playwright.async_api import Page, expect

from tests.support.accessibility import serious_problems
from tests.support.installation import Installation
from tests.support.kafka import raw_producer
from tests.support.product import KEY, Gateway
from tests.support.waiting import eventually
from triptych.gateway.access.keys import store_key

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("console")]

NASTY = "<img src=x onerror=\"document.title='broken'\">"


async def sign_in(page: Page, key: str = KEY) -> None:
    await page.goto("/#/system")
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()


async def refuse(made: Installation, *values: str) -> None:
    """Send records that the command service refuses."""
    async with raw_producer(made.addresses.kafka_bootstrap) as producer:
        for value in values:
            await producer.send_and_wait(made.topics.commands, value.encode(), key=str(uuid.uuid4()).encode())


async def until_open(gateway: Gateway, count: int) -> None:
    """Wait until this number of dead letters is open."""
    gateway.client.headers.pop("wix-site-id", None)

    async def are_there() -> bool:
        answer = await gateway.client.get(f"{gateway.address}/v1/dead-letters")
        return len(answer.json()["deadLetters"]) == count

    await eventually(are_there, f"{count} open dead letters")


async def test_an_operator_sees_how_the_installation_is(page: Page, gateway: Gateway) -> None:
    await sign_in(page)
    consumers = page.get_by_role("region", name="Consumers")
    for group in ("command.v1", "projector.v", "history.v1", "webhooks.v1"):
        await expect(consumers.get_by_role("rowheader").filter(has_text=group)).to_have_count(1)
    problems = page.get_by_role("alert", name="What is wrong")
    await expect(problems).to_contain_text("no process of the service webhooks")
    await expect(page.get_by_text("No job is running.")).to_be_visible()
    await expect(page.get_by_role("region", name="Processes").get_by_text("gateway")).to_be_visible()
    assert await serious_problems(page) == []
    await page.set_viewport_size({"width": 360, "height": 640})
    await page.emulate_media(color_scheme="dark")
    assert await page.evaluate("document.scrollingElement.scrollWidth") == 360
    assert await serious_problems(page) == []


async def test_nothing_is_asked_for_while_the_page_is_hidden(page: Page, gateway: Gateway) -> None:
    await page.clock.install()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await sign_in(page)
    await expect(page.get_by_role("region", name="Consumers")).to_be_visible()
    async with page.expect_response("**/v1/system"):
        await page.clock.run_for(5_000)
    turn = "state => { Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });"
    turn += " document.dispatchEvent(new Event('visibilitychange')); }"
    await page.evaluate(turn, "hidden")
    await page.clock.run_for(6_000)
    before = len(asked)
    await page.clock.run_for(60_000)
    assert len(asked) == before
    async with page.expect_response("**/v1/system"):
        await page.evaluate(turn, "visible")


async def test_dead_letters_are_shown_replayed_and_dropped_after_a_question(
    page: Page, gateway: Gateway, made: Installation
) -> None:
    reasons = {NASTY: "NOT_JSON", '{"specversion":"1.0","id":"a","type":"x","source":"y"}': "UNKNOWN_TYPE"}
    await refuse(made, *reasons, *reasons)
    await sign_in(page)
    letters = page.get_by_role("region", name="Dead letters")

    await until_open(gateway, 4)
    await letters.get_by_role("button", name="Read the open dead letters").click()
    await expect(letters.get_by_role("listitem")).to_have_count(4)
    await letters.get_by_role("combobox", name="Reason").select_option("UNKNOWN_TYPE")
    await expect(letters.get_by_role("listitem")).to_have_count(2)
    first = letters.get_by_role("listitem").first
    await first.get_by_role("button", name="Show").click()
    await expect(first.get_by_role("region")).to_contain_text('"messageId": "a"')
    await first.get_by_role("button", name="Drop").click()
    question = page.get_by_role("dialog")
    await expect(question).to_contain_text("Record that nothing will be done about")
    await page.keyboard.press("Escape")
    await expect(question).to_have_count(0)
    await expect(letters.get_by_role("listitem")).to_have_count(2)
    await letters.get_by_role("button", name="Drop all of this reason").click()
    await question.get_by_role("button", name="Yes").click()
    await expect(letters.get_by_role("status")).to_have_text("Done: 2.")
    await letters.get_by_role("combobox", name="Reason").select_option("")
    await expect(letters.get_by_role("listitem")).to_have_count(2)
    one = letters.get_by_role("listitem").first
    await one.get_by_role("button", name="Show").click()
    await expect(one.get_by_role("region")).to_contain_text("onerror=")
    assert await serious_problems(page) == []
    await one.get_by_role("button", name="Replay").click()
    await question.get_by_role("button", name="Yes").click()
    await expect(letters.get_by_role("status")).to_have_text("Done: 1.")
    assert await page.title() == "Triptych"
    await until_open(gateway, 2)  # the replayed record was refused again


async def test_a_key_sees_the_part_of_its_scopes(page: Page, gateway: Gateway, made: Installation) -> None:
    await store_key(made.database, "letters-only", site_id=None, scopes=["dead-letters"], name="tests")
    await sign_in(page, "letters-only")
    await expect(page.get_by_text("it needs the scope “operate”")).to_be_visible()
    await expect(page.get_by_role("button", name="Read the open dead letters")).to_be_visible()
    await store_key(made.database, "bound", site_id="s", scopes=["operate", "read"], name="tests")
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, "bound")
    rooms = page.get_by_role("navigation", name="Rooms")
    await expect(rooms.get_by_role("link", name="What happened")).to_be_visible()
    await expect(rooms.get_by_role("link", name="System")).to_have_count(0)
