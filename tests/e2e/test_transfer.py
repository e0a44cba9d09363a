"""Export, import, republish, jobs and status on the whole product."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.product import Gateway
from triptych.cli.__main__ import app
from triptych.cli.exits import ExitStatus
from triptych.cli.republish import Republication
from triptych.cli.selection import Selection
from triptych.cli.settings import CliSettings
from triptych.cli.status.collecting import collect
from triptych.cli.transfer.export_command import export_selection
from triptych.cli.transfer.exporting import Exported
from triptych.cli.transfer.import_command import import_files
from triptych.cli.transfer.outcome import Outcome
from triptych.contract.exports import GalleryLine, ItemLine
from triptych.contract.identity import derived_gallery_id
from triptych.kit.kafka.reading.tail import tail

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("transfer")]
ITEMS = 130
"""More than one command creates."""
OWN = {"id", "createdDate", "updatedDate"}
"""What an import does not keep of an item."""


def item(number: int) -> dict[str, Any]:
    if number % 3 == 0:
        return {"title": f"i{number}", **TEXT, "tags": {"values": ["a"]}}
    if number % 3 == 1:
        exif = {"Artist": "B", "a.$b": {"c": 2**53 + 1}}
        return {"image": {"imageInfo": {"id": "ab~mv2.jpg", "filename": "my pic.jpg"}, "quality": 90, "exif": exif}}
    return {"video": {"videoInfo": {"url": "https://vimeo.com/1"}}, "link": {"url": "https://e.com"}}


async def shown(gateway: Gateway, site: str, gallery_id: str, total: int) -> dict[str, Any]:
    """A gallery with all its items, as soon as the read model has `total` of them."""
    gateway.client.headers["wix-site-id"] = site
    for _ in range(300):
        found = await gateway.client.get(f"/v2/galleries/{gallery_id}", params={"itemLimit": 200})
        if found.status_code == 200 and found.json()["gallery"]["totalItems"] == total:
            gallery: dict[str, Any] = found.json()["gallery"]
            return gallery
        await asyncio.sleep(0.1)
    raise AssertionError(found.text)


def content(gallery: dict[str, Any]) -> dict[str, Any]:
    """What an import keeps of a gallery."""
    items = [{name: value for name, value in one.items() if name not in OWN} for one in gallery["items"]]
    return {**{name: gallery[name] for name in ("name", "sortOrder", "totalItems")}, "items": items}


async def imported(installation: Installation, site: str, file: Path, **options: Any) -> Outcome:
    outcome = Outcome(file.with_suffix(".refused"))
    await import_files(installation.settings(CliSettings), [str(file)], site, outcome, **options)
    outcome.close()
    return outcome


async def test_an_export_is_imported_into_another_site_once(
    gateway: Gateway, shared: Installation, tmp_path: Path
) -> None:
    old, new = "old-site", "new-site"
    gateway.client.headers["wix-site-id"] = old
    bodies = [{"name": "Large", "items": [item(number) for number in range(ITEMS)]}, {"name": "Empty"}]
    galleries = [
        (await gateway.client.post("/v2/galleries", json={"gallery": body})).json()["gallery"] for body in bodies
    ]
    file, done = tmp_path / "galleries.ndjson", Exported()
    with file.open("wb") as out:
        await export_selection(shared.settings(CliSettings), Selection(old, ()), out, done)
    assert (done.galleries, done.items) == (2, ITEMS)
    lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    for line in lines:
        (GalleryLine if line["kind"] == "gallery" else ItemLine).model_validate(line)

    first = await imported(shared, new, file, new_ids=True)
    assert first.to_json() == {
        "galleries": {"created": 2, "unchanged": 0, "refused": 0},
        "items": {"created": ITEMS, "unchanged": 0, "refused": 0},
        "unknown": 0,
        "incomplete": {},
        "refusedFile": None,
    }
    before = await heads(shared)
    again = await imported(shared, new, file, new_ids=True)
    assert (again.galleries.unchanged, again.items.unchanged, again.galleries.created) == (2, ITEMS, 0)
    assert again.is_whole
    assert await heads(shared) == before, "the second import changed nothing"
    for gallery, total in zip(galleries, (ITEMS, 0), strict=True):
        copy = derived_gallery_id(new, f"import/{gallery['id']}", "triptych/import")
        original = await shown(gateway, old, gallery["id"], total)
        assert content(await shown(gateway, new, copy, total)) == content(original)

    same_ids = await imported(shared, new, file)
    assert (same_ids.galleries.refused, same_ids.items.refused) == (2, ITEMS), "the ids belong to the old site"
    reasons = [orjson.loads(line)["refused"]["message"] for line in same_ids.refused_path.read_bytes().splitlines()]
    assert any("--new-ids" in reason for reason in reasons)


async def heads(installation: Installation) -> list[Any]:
    """The galleries of the write model."""
    return await installation.database["galleries"].find({"_id": {"$type": "string"}}).sort("_id").to_list(None)


async def test_refused_lines_are_corrected_and_deleted_items_come_again(
    gateway: Gateway, shared: Installation, tmp_path: Path
) -> None:
    gallery_id = "0f0e0d0c-0b0a-4908-8706-050403020100"
    good = {"sortOrder": 3, **TEXT}
    broken = {"sortOrder": 2, "image": {"imageInfo": {"url": "data:x"}}}
    taken = {"sortOrder": 3, "text": {"html": "other"}}
    page = {"gallery": {"id": gallery_id, "name": "From Wix", "totalItems": 4, "items": [good, broken, taken]}}
    file = tmp_path / "wix.json"
    file.write_bytes(orjson.dumps(page, option=orjson.OPT_INDENT_2))
    outcome = await imported(shared, "wix", file)
    assert (outcome.galleries.created, outcome.items.created, outcome.items.refused) == (1, 1, 2)
    assert outcome.incomplete == {gallery_id: 3}
    refused = [orjson.loads(line) for line in outcome.refused_path.read_bytes().splitlines()]
    assert {line["refused"]["code"] for line in refused} == {"INVALID_ARGUMENT", "ALREADY_EXISTS"}

    corrected = tmp_path / "corrected.ndjson"
    fixes = {2: {"imageInfo": {"url": "https://e.com/a.jpg"}}}
    for line in refused:
        if line["item"]["sortOrder"] in fixes:
            line["item"]["image"] = fixes[line["item"]["sortOrder"]]
        else:
            line["item"]["sortOrder"] = 4
    corrected.write_bytes(b"\n".join(map(orjson.dumps, refused)))
    outcome = await imported(shared, "wix", corrected)
    assert (outcome.items.created, outcome.is_whole) == (2, True)
    gallery = await shown(gateway, "wix", gallery_id, 3)
    assert [one["sortOrder"] for one in gallery["items"]] == [4, 3, 2]

    deleted = await gateway.client.delete(f"/v2/galleries/{gallery_id}/items/{gallery['items'][0]['id']}")
    deleted.raise_for_status()
    outcome = await imported(shared, "wix", corrected)
    assert (outcome.items.created, outcome.items.unchanged) == (1, 1)
    assert len((await shown(gateway, "wix", gallery_id, 3))["items"]) == 3


async def test_the_commands_as_they_are_typed(gateway: Gateway, shared: Installation, tmp_path: Path) -> None:
    gateway.client.headers["wix-site-id"] = "typed"
    for number in range(2):
        body = {"gallery": {"name": f"g{number}", "items": [item(0), item(1)]}}
        (await gateway.client.post("/v2/galleries", json=body)).raise_for_status()
    file = tmp_path / "typed.ndjson"

    async def typed(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, list(words), env=shared.environ())

    first = await typed("export", str(file), "--site", "typed")
    assert (first.exit_code, "2 galleries with 4 items" in first.stderr) == (0, True), first.output
    whole = file.read_bytes()
    assert (await typed("export", "-", "--site", "typed")).stdout_bytes == whole
    assert (await typed("export", str(file), "--site", "typed")).exit_code == ExitStatus.REFUSED
    file.write_bytes(whole[: len(whole) * 3 // 4])
    assert (await typed("export", str(file), "--site", "typed", "--resume")).exit_code == 0
    assert file.read_bytes() == whole

    ids = tmp_path / "ids.ndjson"
    done = await typed("import", str(file), "--site", "typed-2", "--new-ids", "--ids", str(ids), "--json")
    assert done.exit_code == 0, done.output
    assert orjson.loads(done.stdout)["items"] == {"created": 4, "unchanged": 0, "refused": 0}
    assert len(ids.read_bytes().splitlines()) == 4
    file.write_bytes(whole + b"{nonsense}\n")
    done = await typed("import", str(file), "--site", "typed-2", "--new-ids")
    assert (done.exit_code, "1 lines are neither" in done.stdout) == (ExitStatus.NEGATIVE, True), done.output
    assert b"is not JSON" in file.with_name("typed.ndjson.refused").read_bytes()

    republished = await typed("republish", "--site", "typed", "--json")
    assert orjson.loads(republished.stdout) == {"republished": 2, "gone": 0, "refused": {}}
    missing = await typed("republish", "--gallery", "00000000-0000-4000-8000-000000000000")
    assert (missing.exit_code, "There is no gallery" in missing.stderr) == (ExitStatus.REFUSED, True)
    assert (await typed("jobs", "list", "--json")).stdout == ""
    assert (await typed("jobs", "show", "nothing")).exit_code == ExitStatus.REFUSED
    status = await typed("status", "--no-services", "--json")
    assert orjson.loads(status.stdout)["kafka"] == {"reached": True, "problem": None}


async def test_galleries_are_republished_in_order_and_resumed(gateway: Gateway, shared: Installation) -> None:
    gateway.client.headers["wix-site-id"] = "again"
    made = [(await gateway.client.post("/v2/galleries", json={})).json()["gallery"]["id"] for _ in range(3)]
    settings = shared.settings(CliSettings)
    run = Republication("")
    async with tail(settings, [shared.topics.events]) as events:
        await run.carry_out(settings, Selection("again", ()))
        ended: set[str] = set()
        while len(ended) < 3:
            record = await asyncio.wait_for(events.getone(), 20)
            if dict(record.headers)["ce_type"].endswith(b"Ended"):
                ended.add(record.key.decode())
    assert ended == set(made)
    assert (run.republished, run.refused, run.done_to) == (3, {}, max(made))
    rest = Republication(sorted(made)[0])
    await rest.carry_out(settings, Selection("again", ()))
    assert rest.republished == 2


async def test_the_status_is_complete_and_good(gateway: Gateway, shared: Installation) -> None:
    (await gateway.client.post("/v2/galleries", json={})).raise_for_status()  # this test may be the first of the module
    settings = shared.settings(CliSettings)
    for _ in range(100):
        report = await collect(settings, {"gateway": gateway.address}, lambda: datetime.now(UTC))
        lags = {lag.group.removeprefix(settings.topic_prefix): lag for lag in report.kafka.lag} if report.kafka else {}
        if all(group in lags and lags[group].records == 0 for group in ("command.v1", "projector.v1")):
            break
        await asyncio.sleep(0.1)
    assert report.problems() == []
    assert (lags["command.v1"].records, lags["projector.v1"].records) == (0, 0)
    # No relay runs here, so its group is behind; its oldest record has an age.
    behind = lags["webhooks.v1"]
    assert behind.records > 0
    assert behind.oldest_seconds is not None
    assert report.database is not None
    assert report.database.jobs.failing == 0
    assert report.kafka is not None
    assert {letters.records for letters in report.kafka.dead_letters} == {0}
