"""Which builds may use which data, which migrations are due, and which version is reached."""

import pytest

from triptych.kit.mongo.driver import Database
from triptych.kit.mongo.schema_version import Build, StoredVersion, refusal, stored_version_of
from triptych.kit.upgrading.migrations import Migration, Step, due, version_reached


async def _count(_: Database) -> int:
    raise AssertionError("not called by a decision")


async def _step(_: Database, __: object) -> Step:
    raise AssertionError("not called by a decision")


def migration(name: str, version: int) -> Migration:
    return Migration(name, "", version, 1, _count, _step)


MIGRATIONS = [migration("c", 3), migration("a", 2), migration("b", 2)]


def test_an_installation_without_a_version_has_the_first() -> None:
    assert stored_version_of(None) == StoredVersion(1, 1)
    assert stored_version_of({"_id": "installation", "version": 3, "oldestBuild": 2, "new": 1}) == StoredVersion(3, 2)


@pytest.mark.parametrize(
    ("stored", "build"),
    [
        (StoredVersion(1, 1), Build(1)),
        (StoredVersion(1, 1), Build(2)),
        (StoredVersion(3, 2), Build(2)),  # a return to the build before
        (StoredVersion(3, 3), Build(4, reads_from=3)),
    ],
)
def test_a_build_may_use_what_it_reads(stored: StoredVersion, build: Build) -> None:
    assert refusal(stored, build) is None


@pytest.mark.parametrize(
    ("stored", "build", "words"),
    [
        (
            StoredVersion(4, 3),
            Build(2),
            (
                "schema version 4 and needs a build that knows version 3",
                "knows schema version 2",
                "Start a newer build",
            ),
        ),
        (
            StoredVersion(2, 1),
            Build(4, reads_from=3),
            ("has schema version 2", "reads version 3 or newer", "First upgrade to a build in between"),
        ),
    ],
)
def test_a_refusal_is_one_line_with_what_was_found_what_is_known_and_what_to_do(
    stored: StoredVersion, build: Build, words: tuple[str, ...]
) -> None:
    problem = refusal(stored, build)
    assert problem is not None
    assert "\n" not in problem
    assert "docs/upgrading.md" in problem
    for each in words:
        assert each in problem


@pytest.mark.parametrize(
    ("stored", "ended", "names", "reached"),
    [
        (1, set(), ["a", "b", "c"], 1),
        (1, {"a"}, ["b", "c"], 1),
        (1, {"a", "b"}, ["c"], 2),
        (1, {"a", "b", "c"}, [], 4),
        (2, set(), ["c"], 2),
        (4, set(), [], 4),
        (5, set(), [], 5),  # a build from before the last upgrade does not lower the version
    ],
)
def test_migrations_are_due_in_order_of_versions(stored: int, ended: set[str], names: list[str], reached: int) -> None:
    version = StoredVersion(stored)
    assert [each.name for each in due(MIGRATIONS, version, ended)] == names
    assert version_reached(MIGRATIONS, version, ended, known=4) == reached
