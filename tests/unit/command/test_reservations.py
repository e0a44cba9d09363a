"""The places that galleries take in their sites, on a cluster."""

import pytest

from triptych.command.domain.state import GalleryHead
from triptych.command.store.reservations import ChangedHead, Place, moved
from triptych.writemodel.galleries import Status


def _head(gallery_id: str, sort_order: float, status: Status = Status.LIVE, site_id: str = "s") -> GalleryHead:
    return GalleryHead(
        gallery_id=gallery_id,
        site_id=site_id,
        name=None,
        sort_order=sort_order,
        created_date="2026-11-27T00:00:00.000Z",
        total_items=0,
        sequence=1,
        last_default=0.0,
        highest=float("-inf"),
        status=status,
    )


@pytest.mark.parametrize(
    ("heads", "left", "taken"),
    [
        ([(None, _head("a", 1.0))], [], [(("s", 1.0), "a")]),
        ([(_head("a", 1.0), _head("a", 1.0)._replace(sequence=2))], [], []),
        ([(_head("a", 1.0), _head("a", 2.0))], [("s", 1.0)], [(("s", 2.0), "a")]),
        ([(_head("a", 1.0), _head("a", 1.0, Status.DELETING))], [], []),
        ([(_head("a", 1.0, Status.DELETING), _head("a", 0.0, Status.DELETED))], [("s", 1.0)], []),
        ([(None, None)], [], []),
        ([(None, _head("a", 0.0, Status.DELETED))], [], []),
        (
            [(_head("a", 1.0), _head("a", 2.0)), (_head("b", 2.0), _head("b", 1.0))],
            [("s", 1.0), ("s", 2.0)],
            [(("s", 2.0), "a"), (("s", 1.0), "b")],
        ),
        (
            [(None, _head("a", 1.0)), (None, _head("b", 1.0))],  # the database refuses the second
            [],
            [(("s", 1.0), "a"), (("s", 1.0), "b")],
        ),
    ],
)
def test_places_follow_the_galleries(
    heads: list[ChangedHead], left: list[Place], taken: list[tuple[Place, str]]
) -> None:
    assert moved(heads) == (left, taken)
