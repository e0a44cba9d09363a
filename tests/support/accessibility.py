"""Looks for serious problems of accessibility on a page, with axe-core."""

from pathlib import Path

from playwright.async_api import Page

AXE = Path(__file__).parents[2] / "console" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")


async def serious_problems(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical, with the elements."""
    await page.evaluate(AXE.read_text())  # not as a script of the page, which its policy forbids
    found = await page.evaluate("axe.run()")
    return [
        f"{one['id']}: {', '.join(node['html'] for node in one['nodes'])[:300]}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
    ]
