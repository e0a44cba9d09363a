"""Which galleries differ while they change."""

from triptych.projector.rebuild.digests import Digest
from triptych.projector.rebuild.verification import Difference, is_moving


def test_what_keeps_up_with_a_gallery_is_moving() -> None:
    assert is_moving(Difference("g", Digest(9, "a1"), Digest(7, "b2")), reached=5)
    assert not is_moving(Difference("g", Digest(9, "a1"), Digest(5, "b2")), reached=5)
    assert not is_moving(Difference("g", Digest(9, "a1"), Digest(9, "b2")), reached=5)
    assert not is_moving(Difference("g", Digest(9, "a1"), None), reached=5)


def test_what_contradicts_itself_is_wrong_however_fast_it_moves() -> None:
    assert not is_moving(Difference("g", Digest(9, "a1"), Digest(7, "other first items")), reached=5)
    assert not is_moving(Difference("g", Digest(9, "a1"), Digest(7, "not whole")), reached=5)
