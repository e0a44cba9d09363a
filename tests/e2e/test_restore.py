"""A restored backup of MongoDB or of Kafka: what `restore-check` says, and that a repair brings all sides together."""

import uuid
from collections import defaultdict

import pytest
from cryptography.fernet import Fernet

from tests.support.backups import back_up, bring_back, records_of, restore, set_offsets
from tests.support.commands import TEXT
from tests.support.early_jobs import DIRECT_ITEMS
from tests.support.early_jobs import early_jobs as early_jobs
from tests.support.event_reader import EventReader
from tests.support.installation import Installation
from tests.support.own_cli import printed, typed
from tests.support.product import running_command_service, running_projector
from tests.support.rebuilding import Phases
from tests.support.relay import Admin
from tests.support.sender import Sender, sending
from tests.support.waiting import eventually
from tests.support.write_model import until_all_is_marked
from triptych.cli.republish import Republication
from triptych.cli.restore.check_command import check
from triptych.cli.restore.findings import UNKNOWN_STEP, Findings
from triptych.cli.restore.repair import RepairRun
from triptych.cli.restore.repair_command import repair
from triptych.cli.selection import Selection
from triptych.cli.settings import CliSettings
from triptych.cli.verify import verify
from triptych.client import Galleries
from triptych.contract.codec.events import EventType
from triptych.contract.snapshots import is_snapshot
from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.mongo.fencing import all_documents
from triptych.readmodel.queries import Views
from triptych.webhooks.settings import WebhookSettings
from triptych.webhooks.store.sealing import Sealer

CHANGED, DELETED, WITH_ITEMS, SAME, CREATED, FLEETING, LARGE = (
    str(uuid.UUID(int=number, version=4)) for number in range(7)
)
BEFORE = (CHANGED, DELETED, WITH_ITEMS, SAME)
ALL = (*BEFORE, CREATED, FLEETING, LARGE)
MANY = DIRECT_ITEMS + 1
"""Items of the large gallery: its commands become long-running work."""


class Follower:
    """A consumer of the joined topic that is there all the time."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._fed: defaultdict[int, int] = defaultdict(int)
        self.galleries = Galleries()

    async def follow(self) -> None:
        """Read what is new. A topic that was created again is read from its beginning."""
        for record in await records_of(self._installation, self._installation.topics.galleries):
            if record.offset >= self._fed[record.partition]:
                self._fed[record.partition] = record.offset + 1
                self.galleries.feed(record.key, record.value)

    def start_over(self) -> None:
        """Forget the offsets, as a consumer does whose topic was created again."""
        self._fed.clear()


async def is_equal(installation: Installation, consumer: Galleries | EventReader) -> bool:
    """Whether a consumer has the galleries that the views have."""
    views = Views(installation.database)
    for gallery_id in ALL:
        page = await views.get_gallery("default", gallery_id, 2 * MANY)
        if consumer.get(gallery_id) != (page.to_wire() if page else None):
            return False
    return True


async def caught_up(installation: Installation, follower: Follower) -> None:
    """Wait until the views and a consumer have everything that the write model has."""
    views, written = Views(installation.database), installation.database["galleries"]

    async def has_all() -> bool:
        for one in await all_documents(written, {"sequence": 1, "status": 1}).to_list(None):
            if one["status"] == "deleted":
                is_there = await views.get_gallery("default", one["_id"], 1) is None
            else:
                is_there = await views.sequence_of("default", one["_id"]) == one["sequence"]
            if not is_there:
                return False
        await follower.follow()
        return await is_equal(installation, follower.galleries)

    await eventually(has_all, "everything is consumed", deadline_seconds=60)


async def all_agree(installation: Installation, follower: Follower) -> None:
    """Wait until the write model, the views, the joined topic and two consumers agree: an old one and a new one."""

    async def do_agree() -> bool:
        await follower.follow()
        fresh = Follower(installation)
        await fresh.follow()
        return await is_equal(installation, follower.galleries) and await is_equal(installation, fresh.galleries)

    settings = installation.settings(CliSettings)

    async def is_verified() -> bool:
        return await verify(settings) == []

    await eventually(is_verified, "nothing differs", deadline_seconds=60)
    await eventually(do_agree, "the consumers agree", deadline_seconds=40)


async def republish(installation: Installation) -> int:
    """`triptych republish --all`; the number of galleries."""
    run = Republication("")
    await run.carry_out(installation.settings(CliSettings), Selection(None, ()))
    assert run.refused == {}
    return run.republished


async def no_sequence_was_used_twice(installation: Installation) -> None:
    """Each sequence of each gallery has one event, whatever happened."""
    seen: defaultdict[tuple[str, str], set[bytes]] = defaultdict(set)
    for record in await records_of(installation, installation.topics.events):
        headers = {name: value.decode() for name, value in record.headers}
        if not is_snapshot(headers["ce_type"]):
            seen[headers["ce_subject"], headers["ce_sequence"]].add(record.value)
    assert seen
    assert {key: values for key, values in seen.items() if len(values) > 1} == {}


async def fill(sender: Sender, follower: Follower) -> None:
    for gallery_id in BEFORE:
        await sender.gallery(3, name="before", gallery_id=gallery_id)
    await caught_up(sender.installation, follower)


async def change(sender: Sender) -> None:
    """What happens after the backup."""
    accepted = [
        await sender.send("UpdateGallery", {"galleryId": CHANGED, "gallery": {"name": "after"}}, "rename"),
        await sender.send("CreateItems", {"galleryId": CHANGED, "items": [TEXT] * 2}, "add"),
        await sender.send(
            "DeleteItems", {"galleryId": WITH_ITEMS, "itemIds": (await sender.item_ids(WITH_ITEMS))[:1]}, "remove"
        ),
        await sender.send("DeleteGallery", {"galleryId": DELETED}, "delete"),
        await sender.send(
            "CreateGallery", {"galleryId": CREATED, "gallery": {"name": "new", "items": [TEXT] * 2}}, "create"
        ),
        await sender.send("CreateGallery", {"galleryId": FLEETING, "gallery": {"items": [TEXT]}}, "fleeting"),
        await sender.send("DeleteGallery", {"galleryId": FLEETING}, "gone"),
    ]
    assert {reply["outcome"] for reply in accepted} == {"accepted"}


async def seen_by_check(installation: Installation) -> Findings:
    """What `restore-check` finds, once the groups of stopped services have no members."""
    return await check(installation.settings(CliSettings))


async def interrupted(installation: Installation, phase: str, discards_commands: bool) -> None:
    """Begin a repair, and end it in this phase, as Ctrl-C would. The command service then waits."""
    run = RepairRun(installation.settings(CliSettings), installation.database, Phases(after=phase).report)
    with pytest.raises(KeyboardInterrupt):
        await run.carry_out(discards_commands=discards_commands, raises_all=False)
    assert (await seen_by_check(installation)).unfinished
    with pytest.raises(NotYetAvailable, match="restore-repair"):
        async with running_command_service(installation):
            pass


async def repaired(installation: Installation, **choices: bool) -> None:
    """Repair, which leaves nothing of itself behind."""
    await repair(installation.settings(CliSettings), **choices)
    names = await installation.database.list_collection_names()
    assert not {"restored_galleries", "restored_items_gone"} & set(names)
    assert await installation.database["restore_repairs"].count_documents({}) == 0


@pytest.mark.timeout(150)
@pytest.mark.usefixtures("early_jobs")
@pytest.mark.parametrize("discards_commands", [False, True], ids=["carried out again", "discarded"])
async def test_an_older_write_model_is_made_safe(installation: Installation, discards_commands: bool) -> None:
    follower = Follower(installation)
    async with sending(installation) as sender:
        async with running_command_service(installation), running_projector(installation):
            await sender.gallery(MANY, name="large", gallery_id=LARGE)
            await fill(sender, follower)
            await Admin(installation.database, Sealer([Fernet.generate_key().decode()])).subscribe(
                "http://127.0.0.1:9/"
            )
            # A backup with an event that is not marked as published would raise that gallery too.
            await until_all_is_marked(installation.database)
            backup = await back_up(installation)
            await change(sender)
            assert (await sender.send("ClearGallery", {"galleryId": LARGE}, "clear"))["outcome"] == "accepted"
            await caught_up(installation, follower)
            with pytest.raises(StartRefused, match="has members"):
                await repair(installation.settings(CliSettings))
        events = await records_of(installation, installation.topics.events)
        relay = installation.settings(WebhookSettings).webhooks_group
        await set_offsets(installation, installation.topics.events, relay, events)
        before = {gallery_id: follower.galleries.sequence(gallery_id) for gallery_id in ALL}
        await restore(installation, backup)

        findings = await seen_by_check(installation)
        assert findings.is_write_model_older
        kinds = (findings.raised, findings.deleted, findings.withdrawn, findings.reserved)
        assert [set(kind.examples) for kind in kinds] == [
            {CHANGED, WITH_ITEMS, LARGE},
            {DELETED},
            {CREATED},
            {FLEETING},
        ]
        assert (findings.items_gone, findings.commands.lost, findings.unknown) == (1 + MANY, 8, 0)

        projector = installation.settings(CliSettings).projector_group(1)
        assert {move.group: move.again for move in findings.groups} == {projector: 15 + MANY, relay: 15 + MANY}

        await interrupted(installation, "galleries corrected" if discards_commands else "commands", discards_commands)
        with pytest.raises(StartRefused, match="other options"):
            await repair(installation.settings(CliSettings), discards_commands=not discards_commands)
        await repaired(installation, discards_commands=discards_commands)
        async with running_command_service(installation), running_projector(installation):
            assert await republish(installation) == (4 if discards_commands else 5)
            await caught_up(installation, follower)
            names = {one: (follower.galleries.get(one) or {}).get("name") for one in ALL}
            counts = {one: len((follower.galleries.get(one) or {"items": ()})["items"]) for one in ALL}
            if discards_commands:
                expected = {CHANGED: "before", WITH_ITEMS: "before", SAME: "before", LARGE: "large"}
                assert names == dict.fromkeys(ALL) | expected
                assert counts == dict.fromkeys(ALL, 0) | {CHANGED: 3, WITH_ITEMS: 2, SAME: 3}
            else:
                expected = {CHANGED: "after", WITH_ITEMS: "before", SAME: "before", CREATED: "new", LARGE: "large"}
                assert names == dict.fromkeys(ALL) | expected
                assert counts == dict.fromkeys(ALL, 0) | {CHANGED: 5, WITH_ITEMS: 2, SAME: 3, CREATED: 2}
            assert follower.galleries.sequence(SAME) == before[SAME]
            assert (follower.galleries.sequence(CHANGED) or 0) > (before[CHANGED] or 0) + 1

            reply = await sender.send("CreateItems", {"galleryId": CHANGED, "items": [TEXT]})
            assert reply["sequence"] == (follower.galleries.sequence(CHANGED) or 0) + 1
            taken = await sender.send("CreateGallery", {"galleryId": DELETED})
            assert (taken.get("error") or {}).get("code") == "ALREADY_EXISTS"
            await all_agree(installation, follower)
            await no_sequence_was_used_twice(installation)
            reader = EventReader()
            for record in await records_of(installation, installation.topics.events):
                reader.feed(record)
            assert await is_equal(installation, reader)
            assert reader.losses == len(findings.raised.examples) + (not discards_commands)
        assert (await seen_by_check(installation)).problems() == []


@pytest.mark.timeout(150)
@pytest.mark.parametrize("is_lost", [False, True], ids=["older topics", "lost topics"])
async def test_older_topics_are_brought_up(installation: Installation, is_lost: bool) -> None:
    follower, topics = Follower(installation), installation.topics
    settings = installation.settings(CliSettings)
    async with running_command_service(installation), running_projector(installation), sending(installation) as sender:
        await fill(sender, follower)
        names = (topics.commands, topics.events, topics.galleries)
        backup = {name: [] if is_lost else await records_of(installation, name) for name in names}
        await change(sender)
        await caught_up(installation, follower)
    await bring_back(installation, backup)
    follower.start_over()
    if not is_lost:
        await set_offsets(installation, topics.commands, settings.command_group, backup[topics.commands])
        await set_offsets(installation, topics.events, settings.projector_group(1), backup[topics.events])

    findings = await seen_by_check(installation)
    assert not findings.is_write_model_older
    joined = [set(some.examples) for some in (findings.joined.missing, findings.joined.behind, findings.joined.extra)]
    if is_lost:
        assert joined == [{CHANGED, WITH_ITEMS, SAME, CREATED}, set(), set()]
    else:
        assert joined == [{CREATED}, {CHANGED, WITH_ITEMS}, {DELETED}]
        assert set(findings.behind.examples) == {CHANGED, WITH_ITEMS, DELETED}

    told = printed(await typed(installation, "restore-check", "--json"), status=1)
    assert (told[0]["ok"], told[0]["writeModelIsOlder"], bool(told[0]["advice"])) == (False, False, True)
    assert printed(await typed(installation, "restore-repair", "--json"))[0]["joinedGalleriesRequested"] == 4
    async with sending(installation) as sender, running_command_service(installation), running_projector(installation):
        assert await republish(installation) == 4
        await caught_up(installation, follower)
        reply = await sender.send("CreateItems", {"galleryId": CHANGED, "items": [TEXT]})
        assert reply["sequence"] == (follower.galleries.sequence(CHANGED) or 0) + 1
        await all_agree(installation, follower)
        await no_sequence_was_used_twice(installation)
        deletions = [
            record
            for record in await records_of(installation, topics.events)
            if dict(record.headers)["ce_type"].decode() == EventType.GALLERY_DELETED
        ]
        assert [record.key.decode() for record in deletions] == ([] if is_lost else [DELETED])
    done = await typed(installation, "restore-check")
    assert (done.exit_code, done.stdout) == (0, "MongoDB and the topics fit together\n")


@pytest.mark.timeout(150)
async def test_every_gallery_can_be_raised_above_what_consumers_have_seen(installation: Installation) -> None:
    """MongoDB and the topics are both of the same backup: nothing shows what consumers have seen since."""
    follower, topics = Follower(installation), installation.topics
    settings = installation.settings(CliSettings)
    async with running_command_service(installation), running_projector(installation), sending(installation) as sender:
        await fill(sender, follower)
        records = {name: await records_of(installation, name) for name in (topics.events, topics.galleries)}
        documents = await back_up(installation)
        await change(sender)
        await caught_up(installation, follower)
    await bring_back(installation, records)
    await restore(installation, documents)
    await set_offsets(installation, topics.events, settings.projector_group(1), records[topics.events])
    follower.start_over()

    await repaired(installation, raises_all=True, discards_commands=True)
    async with running_command_service(installation), running_projector(installation):
        assert await republish(installation) == len(BEFORE)
        fresh = Follower(installation)
        await all_agree(installation, fresh)
    await follower.follow()
    # Of CHANGED, the old consumer has items that nobody else remembers, and has to read the topic from its beginning.
    for gallery_id in (WITH_ITEMS, SAME):
        assert follower.galleries.get(gallery_id) == fresh.galleries.get(gallery_id) is not None
        assert (follower.galleries.sequence(gallery_id) or 0) > UNKNOWN_STEP
