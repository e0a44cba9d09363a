"""An outdated task can neither take a step of a job again nor damage what others have staged."""

import pytest

from tests.support.installation import Installation
from triptych.command.store.documents import JOBS, STAGED
from triptych.command.store.jobs import JobMovedOn, JobStore, JobUpdate
from triptych.command.store.staging import Staging
from triptych.kit.mongo.transactions import transaction
from triptych.writemodel.galleries import GALLERIES, ITEMS

pytestmark = pytest.mark.without_topics

STAGED_BY_ATTEMPTS = [("open", "first", 0), ("open", "second", 1), ("ended", "a", 0), ("ended too", "a", 0)]
FROM_BEFORE_STEPS_WERE_COUNTED = {"_id": "s/c", "state": {"next": 250}, "isDone": False}


@pytest.mark.parametrize("stored", [FROM_BEFORE_STEPS_WERE_COUNTED, {**FROM_BEFORE_STEPS_WERE_COUNTED, "step": 0}])
async def test_a_step_is_taken_once(installation: Installation, stored: dict[str, object]) -> None:
    jobs = JobStore(installation.database)
    await installation.database[JOBS].insert_one(dict(stored))

    async def take(step: int, state: dict[str, int] | None) -> None:
        async with transaction(installation.database) as session:
            await jobs.apply(JobUpdate("s/c", step, state), session)

    await take(0, {"next": 500})
    with pytest.raises(JobMovedOn):
        await take(0, {"next": 500})
    await take(1, {"next": 750})
    with pytest.raises(JobMovedOn):
        await take(1, None)
    assert (await installation.database[JOBS].find_one({"_id": "s/c"}) or {})["state"] == {"next": 750}
    await take(2, None)
    with pytest.raises(JobMovedOn):
        await take(2, {"next": 1000})
    assert await installation.database[JOBS].find_one({}) is None


async def test_two_attempts_at_staging_for_one_job_are_separate(installation: Installation) -> None:
    database = installation.database
    await database[GALLERIES].insert_one({"_id": "g", "siteId": "s", "status": "live", "job": None})
    items = [{"_id": str(n), "galleryId": "g", "sortOrder": float(-n), "item": {"n": n}} for n in range(5)]
    await database[ITEMS].insert_many(items)
    staging = Staging(database)
    assert await staging.fill("job", "first", "g", "s") == 5
    await database[ITEMS].delete_one({"_id": "1"})
    assert await staging.fill("job", "second", "g", "s") == 4
    assert await staging.page("job", "first", 0, 10) == [{"n": n} for n in range(5)]
    assert await staging.page("job", "second", 1, 10) == [{"n": n} for n in (2, 3, 4)]
    await staging.clear("job")
    assert await database[STAGED].find_one({}) is None


async def test_what_an_outdated_attempt_has_staged_after_the_end_of_its_job_is_deleted(
    installation: Installation,
) -> None:
    database = installation.database
    await database[JOBS].insert_one({"_id": "open"})
    staged = [{"_id": f"{job}/{n}", "job": job, "staging": attempt} for job, attempt, n in STAGED_BY_ATTEMPTS]
    await database[STAGED].insert_many(staged)
    staging = Staging(database)
    assert await staging.clear_ended() == 2
    assert {found["job"] async for found in database[STAGED].find({})} == {"open"}
    await staging.drop("open", "first")
    assert [found["staging"] async for found in database[STAGED].find({})] == ["second"]
    assert await staging.clear_ended() == 0
