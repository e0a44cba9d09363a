"""The examples of `docs/http.md` work: its client program, and each row of its table of calls."""

import asyncio
from pathlib import Path

from tests.support.conformance import run_script
from tests.support.http_page import block, calls
from tests.support.installation import Installation
from tests.support.product import KEY, Gateway, running_product

TEXT = {"text": {"html": "x"}}


async def subject(gateway: Gateway) -> dict[str, str]:
    """The ids for the calls: a gallery with two items."""
    answer = await gateway.client.post("/v2/galleries", json={"gallery": {"items": [TEXT, TEXT]}})
    gallery = answer.raise_for_status().json()["gallery"]
    first, second = (item["id"] for item in gallery["items"])
    return {"id": gallery["id"], "itemId": first, "a": first, "b": second}


async def test_the_client(installation: Installation, tmp_path: Path) -> None:
    async with running_product(installation) as gateway:
        script = block("js").replace("http://127.0.0.1:8080", gateway.address).replace("dev-key", KEY)
        for call in calls():
            names = ", ".join(f"{name}: '{value}'" for name, value in (await subject(gateway)).items())
            script += f"{{ const {{ id, itemId, a, b }} = {{ {names} }}; console.log(typeof ({call.javascript})); }}\n"
        folder = tmp_path / "run"
        folder.mkdir()
        folder.joinpath("page.mjs").write_text(script)
        outcome = await run_script("page.mjs", folder, environ={})
    assert (outcome.status, outcome.output.split()) == (0, ["object"] * 13), outcome.output


async def test_curl(installation: Installation) -> None:
    async with running_product(installation) as gateway:
        setting = block("sh").replace("http://127.0.0.1:8080", gateway.address).replace("dev-key", KEY)
        script = setting.replace("curl -s", "curl -sS --fail-with-body")
        for call in calls():
            names = "".join(f"{name}={value}; " for name, value in (await subject(gateway)).items())
            script += f"{names}{call.curl} > /dev/null && echo {call.name.replace(' ', '-')}\n"
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output = (await process.communicate())[0].decode()
    assert output.split() == [call.name.replace(" ", "-") for call in calls()]
    assert len(calls()) == 13
