"""How a gallery of a restored write model is corrected, for every relation between it and its published events."""

import pytest

from triptych.command.domain.corrections import HOLE, Action, Correction, Published, correction_of
from triptych.command.domain.state import GalleryHead
from triptych.writemodel.galleries import Status

GALLERY = "00000000-0000-4000-8000-000000000000"


def head(sequence: int, status: Status = Status.LIVE) -> GalleryHead:
    return GalleryHead(GALLERY, "default", "G", 1.0, "2026-11-27T12:00:00.000Z", 0, sequence, 0.0, 0.0, status)


def published(sequence: int, *, is_deleted: bool = False) -> Published:
    return Published(GALLERY, "default", sequence, is_deleted)


@pytest.mark.parametrize(
    ("written", "events", "correction"),
    [
        # Older than its events; as old, but with another content, after commands were carried out again; newer.
        (head(4), published(9), Correction(Action.RAISE, 9 + HOLE)),
        (head(9), published(9), Correction(Action.RAISE, 9 + HOLE)),
        (head(12), published(9), Correction(Action.RAISE, 12 + HOLE)),
        # The topics say nothing of it.
        (head(4), published(0), Correction(Action.RAISE, 4 + HOLE)),
        # What was published as deleted stays deleted, and nothing above that was published.
        (head(4), published(9, is_deleted=True), Correction(Action.DELETE, 9)),
        (head(12), published(9, is_deleted=True), Correction(Action.DELETE, 9)),
        (None, published(9, is_deleted=True), Correction(Action.RESERVE, 9)),
        (head(11, Status.DELETED), published(9, is_deleted=True), Correction(Action.RESERVE, 9)),
        # Consumers have it, and the write model does not: the deletion is their next event.
        (None, published(9), Correction(Action.WITHDRAW, 10)),
        (head(4, Status.DELETED), published(9), Correction(Action.WITHDRAW, 10)),
        # The topic was lost with the deletion, or the deletion was never published.
        (head(9, Status.DELETED), published(4), Correction(Action.WITHDRAW, 10)),
        (head(9, Status.DELETED), published(0), Correction(Action.WITHDRAW, 10)),
    ],
)
def test_the_correction_of_a_gallery(written: GalleryHead | None, events: Published, correction: Correction) -> None:
    assert correction_of(written, events) == correction


def test_a_raised_gallery_leaves_a_hole_for_every_consumer() -> None:
    """A consumer at the published sequence must not take the next event for the one after it."""
    for written in range(1, 6):
        for events in range(6):
            assert correction_of(head(written), published(events)).sequence > max(written, events) + 1
