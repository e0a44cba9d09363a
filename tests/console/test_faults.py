"""What really dies under the console: the page says what is wrong, and goes on by itself."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.support.console_flows import create_gallery, opened_tab, sign_in, titles
from tests.support.installation import Installation, open_installation
from tests.support.late_port import LatePort
from tests.support.product import KEY, Gateway, ServedGateway, client_of, running_projector
from tests.support.restarts import Instances, instances
from triptych.gateway.access.keys import Scope, store_key

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("console")]

NAMES = ["item 0", "item 1", "item 2"]
MOVED = ["item 1", "item 2", "item 0"]
COMMAND, GATEWAY = "command-1", "gateway-1"


async def move_first_to_end(page: Page) -> None:
    """Move the first item, by the keyboard."""
    await page.get_by_role("listbox").focus()
    for key in ("Home", "Alt+End"):
        await page.keyboard.press(key)
    await expect(titles(page)).to_have_text(MOVED)


async def show(tab: Page, gateway: ServedGateway, place: str) -> None:
    """Show a page to somebody who has signed in."""
    await sign_in(tab, gateway, place)
    if "galleries" in place:
        await expect(titles(tab)).to_have_text(NAMES)
        await expect(tab.get_by_text("Changes are shown as they happen.")).to_be_visible()
    else:
        await expect(tab.get_by_role("region", name="Consumers")).to_be_visible()


async def test_kafka_dies_and_comes_back(page: Page, other_page: Page, gateway: Gateway, kafka: LatePort) -> None:
    gallery_id = await create_gallery(gateway, "Cut off", items=3)
    await show(page, gateway, f"/#/galleries/{gallery_id}")
    await show(other_page, gateway, "/#/system")
    away = "Kafka does not answer the gateway."
    said = page.get_by_role("alert").filter(has_text=away)
    problems = other_page.get_by_role("alert", name="What is wrong")
    async with kafka.closed():
        await expect(said).to_be_visible()
        await move_first_to_end(page)
        await expect(page.get_by_text(f"The move was taken back: {away}")).to_be_visible()
        await expect(titles(page)).to_have_text(NAMES)
        await expect(problems).to_contain_text("Kafka was not reached")
        await page.reload()
        await expect(said).to_be_visible()
        await expect(titles(page)).to_have_text(NAMES)
    await expect(said).to_have_count(0)
    await expect(problems).not_to_contain_text("Kafka was not reached")
    await move_first_to_end(page)
    await expect(page.get_by_text("1 item was moved.")).to_be_visible()
    await expect(titles(page)).to_have_text(MOVED)


@dataclass(frozen=True)
class Killable:
    """A product whose command service and gateway are processes that a test may kill."""

    processes: Instances
    gateway: ServedGateway
    gallery: Page
    system: Page


@pytest_asyncio.fixture(loop_scope="package")
async def killable(made: Installation, browser: Browser, tmp_path: Path) -> AsyncIterator[Killable]:
    """A product in which somebody looks at a gallery, and somebody else at the system."""
    fields: Any = {"gateway_reply_timeout": 1, "gateway_stream_heartbeat": 0.5}
    async with AsyncExitStack() as stack:
        installation = await stack.enter_async_context(open_installation(made.addresses))
        await store_key(installation.database, KEY, site_id=None, scopes=list(Scope), name="tests")
        processes = await stack.enter_async_context(instances(installation, tmp_path, are_forks=True, **fields))
        for name in (COMMAND, GATEWAY):
            processes.start(name)
        await stack.enter_async_context(running_projector(installation))
        await processes.ready(COMMAND, GATEWAY)
        address = processes.address(GATEWAY)
        gateway = ServedGateway(address, await stack.enter_async_context(client_of(address)))
        gateway.client.headers["wix-site-id"] = uuid.uuid4().hex
        gallery, system = [await stack.enter_async_context(opened_tab(browser, gateway)) for _ in range(2)]
        gallery_id = await create_gallery(gateway, "Killed", items=3)
        await show(gallery, gateway, f"/#/galleries/{gallery_id}")
        await show(system, gateway, "/#/system")
        yield Killable(processes, gateway, gallery, system)


async def test_a_service_and_the_gateway_are_killed_and_started_again(killable: Killable) -> None:
    processes, page, system = killable.processes, killable.gallery, killable.system
    commands = system.get_by_role("region", name="Consumers").get_by_role("row").filter(has_text="command.v1")
    await expect(commands).to_contain_text("0.0 s")
    await processes.kill(COMMAND)
    await move_first_to_end(page)
    await expect(page.get_by_text("The move was taken back: The services have not answered in time.")).to_be_visible()
    await expect(titles(page)).to_have_text(NAMES)
    await expect(commands).not_to_contain_text("0.0 s")
    processes.start(COMMAND)
    await expect(titles(page)).to_have_text(MOVED)  # what the killed service had not done

    await processes.kill(GATEWAY)
    for tab in (page, system):
        await expect(tab.get_by_role("alert").filter(has_text="The gateway does not answer.")).to_be_visible()
    await expect(titles(page)).to_have_text(MOVED)
    await expect(commands).to_be_visible()
    processes.start(GATEWAY)
    for tab in (page, system):
        await expect(tab.get_by_role("alert").filter(has_text="The gateway does not answer.")).to_have_count(0)
    await expect(commands).to_contain_text("0.0 s")
    await expect(page.get_by_text("Changes are shown as they happen.")).to_be_visible()
    path = f"/v2/galleries/{page.url.rpartition('/')[2]}"
    (await killable.gateway.client.patch(path, json={"gallery": {"name": "Alive"}})).raise_for_status()
    await expect(page.get_by_role("heading", name="Alive")).to_be_visible()
