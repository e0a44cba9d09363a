"""The cache of heads has the last written heads, and nothing else."""

from typing import Any

import pytest

from tests.support.commands import TEXT
from triptych.command.domain.state import GalleryHead
from triptych.command.domain.unit_of_work import ReceivedCommand, ReceivedRecord, UnitOfWork
from triptych.command.store.recent_heads import RecentHeads
from triptych.contract.codec.envelope import CommandEnvelope
from triptych.contract.commands import COMMANDS

GALLERIES = [f"{number}0000000-0000-4000-8000-000000000000" for number in range(1, 5)]


def head(gallery_id: str, sequence: int = 1, job: str | None = None) -> GalleryHead:
    return GalleryHead(gallery_id, "site", None, 1.0, "2026-01-01T00:00:00Z", 0, sequence, 0.0, 0.0, job=job)


def command(gallery_id: str, name: str = "CreateItems", data: dict[str, Any] | None = None) -> ReceivedCommand:
    model = COMMANDS[name].model_validate({"galleryId": gallery_id, **(data or {"items": [TEXT]})})
    envelope = CommandEnvelope("c", "site", name, model, None, "c", None)
    return ReceivedCommand(0, gallery_id, envelope, ReceivedRecord("commands", 0, 0, None, b"", ()))


def written(*heads: GalleryHead) -> UnitOfWork:
    return UnitOfWork(heads={head.gallery_id: head for head in heads})


def test_the_last_written_head_is_cached_until_the_cache_is_cleared() -> None:
    recent, gallery_id = RecentHeads(), GALLERIES[0]
    assert recent.head_for([command(gallery_id)]) is None
    for sequence in (1, 2):
        recent.remember(written(head(gallery_id, sequence)))
        assert recent.head_for([command(gallery_id)]) == head(gallery_id, sequence)
    assert recent.head_for([command(GALLERIES[1])]) is None
    recent.forget()
    assert recent.head_for([command(gallery_id)]) is None


def test_a_gallery_that_was_only_read_is_not_cached() -> None:
    recent, unit = RecentHeads(), UnitOfWork()
    unit.load_head(head(GALLERIES[0]))
    unit.heads[GALLERIES[1]] = None
    recent.remember(unit)
    assert [recent.head_for([command(gallery_id)]) for gallery_id in GALLERIES[:2]] == [None, None]


def test_the_least_recently_written_gallery_is_dropped() -> None:
    recent = RecentHeads(most=2)
    for gallery_id in (GALLERIES[0], GALLERIES[1], GALLERIES[0], GALLERIES[2]):
        recent.remember(written(head(gallery_id)))
    known = [gallery_id for gallery_id in GALLERIES if recent.head_for([command(gallery_id)])]
    assert known == [GALLERIES[0], GALLERIES[2]]


@pytest.mark.parametrize(
    "commands",
    [
        [],
        [command(GALLERIES[0]), command(GALLERIES[0])],
        [command(GALLERIES[0], "DeleteItems", {"itemIds": [GALLERIES[1]]})],
        [command(GALLERIES[0], "ClearGallery", {})],
    ],
)
def test_commands_that_need_more_than_a_head_are_loaded(commands: list[ReceivedCommand]) -> None:
    recent = RecentHeads()
    recent.remember(written(head(GALLERIES[0])))
    assert recent.head_for(commands) is None


def test_a_gallery_with_a_job_is_loaded() -> None:
    recent = RecentHeads()
    recent.remember(written(head(GALLERIES[0], job="site/other")))
    assert recent.head_for([command(GALLERIES[0])]) is None
