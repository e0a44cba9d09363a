"""Plants faults into the product. The simulation has to find each of them."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from tests.support.simulation.world import Wanted
from triptych.command.domain import restoring
from triptych.command.domain.unit_of_work import UnitOfWork
from triptych.command.flow.executor import Executor
from triptych.command.store import jobs, outbox, repository
from triptych.kit.kafka.consuming import consumer
from triptych.kit.kafka.consuming.finishing import BatchFinisher
from triptych.kit.kafka.layout import TopicLayout
from triptych.kit.mongo import fencing, transactions
from triptych.kit.mongo.driver import PyMongoError
from triptych.projector.history.archive import Archive
from triptych.projector.ingest import handler as projection
from triptych.projector.ingest.expired_events import ExpiryHandler
from triptych.projector.join.audit import AuditedJoinPublisher
from triptych.projector.view import batch, fold
from triptych.projector.view.fold import FoldResult
from triptych.webhooks.model.delivery import Delivered
from triptych.webhooks.relay import handler, worker
from triptych.webhooks.store.deliveries import DeliveryRepository
from triptych.webhooks.store.delivery_documents import new_delivery


@dataclass(frozen=True)
class Plant:
    """A fault; its context has it.

    Attributes:
        context: makes a context in which the product has the fault.
        first_seed: where a search for it may begin to be short.
        wanted: what a run must have for the fault to matter.
    """

    context: Callable[[], AbstractContextManager[object]]
    first_seed: int
    wanted: Wanted

    def __call__(self) -> AbstractContextManager[object]:
        """A context in which the product has the fault."""
        return self.context()


PLANTS: dict[str, Plant] = {}
"""By name."""


def plant(
    first_seed: int = 0, *, parts: Iterable[str] = (), kinds: Iterable[str] = ()
) -> Callable[[Callable[[], Iterator[None]]], Plant]:
    """Name a fault by its function. `parts` and `kinds` are those of `Wanted`."""

    def keep(function: Callable[[], Iterator[None]]) -> Plant:
        wanted = Wanted(frozenset(parts), tuple(kinds))
        made = PLANTS[function.__name__] = Plant(contextlib.contextmanager(function), first_seed, wanted)
        return made

    return keep


@plant(first_seed=52)
def the_fence_is_left_out() -> Iterator[None]:
    async def fence(self: Any, session: Any, partitions: Iterable[int]) -> list[Any]:
        return []

    with mock.patch.object(fencing.Ownership, "fence", fence):
        yield


@plant(first_seed=55)
def outcomes_of_commands_are_not_stored() -> Iterator[None]:
    async def nothing(self: Any, *_: object) -> None:
        """Store nothing."""

    with mock.patch.object(repository.WriteModelRepository, "_write_outcomes", nothing):
        yield


@plant(first_seed=55)
def events_are_published_before_the_commit() -> Iterator[None]:
    save = repository.WriteModelRepository.save

    async def early(self: Any, unit: UnitOfWork, partitions: set[int], *more: Any) -> Any:
        number = self._outbox._number
        rows = self._outbox.rows_of(unit, self._ownership)
        self._outbox._number = number
        await self._outbox._publisher.publish(self._outbox.records(rows))
        return await save(self, unit, partitions, *more)

    with mock.patch.object(repository.WriteModelRepository, "save", early):
        yield


@plant(first_seed=43)
def events_left_in_the_outbox_are_forgotten() -> Iterator[None]:
    async def forget(self: Any, partitions: Iterable[int]) -> int:
        return 0

    with mock.patch.object(outbox.Outbox, "flush", forget):
        yield


@plant(first_seed=55)
def offsets_are_committed_before_the_batch_is_finished() -> Iterator[None]:
    finish = BatchFinisher.finish

    class Early(consumer.BatchConsumer):
        async def _consume_alone(self, records: Sequence[Any]) -> None:
            if records:
                self._commits.after(records)
                await self._commits.flush()
            await super()._consume_alone(records)

    with (
        mock.patch("tests.support.simulation.services.BatchConsumer", Early),
        mock.patch.object(BatchFinisher, "finish", finish),
    ):
        yield


@plant(first_seed=23, kinds=["network"])
def a_commit_without_an_answer_counts_as_done() -> Iterator[None]:
    async def believe(session: Any) -> None:
        with contextlib.suppress(PyMongoError):
            await session.commit_transaction()

    with mock.patch.object(transactions, "_try_to_commit", believe):
        yield


@plant(first_seed=55)
def a_repeated_event_is_not_published_again() -> Iterator[None]:
    touch = batch._touch

    def forget(made: Any, entry: Any) -> None:
        if made.outcomes[-1] is not FoldResult.REPEATED:
            touch(made, entry)

    with mock.patch.object(batch, "_touch", forget):
        yield


@plant(first_seed=43)
def a_repeated_event_is_applied_again() -> Iterator[None]:
    project = fold.project

    def forget(view: Any, site_id: str, event: Any) -> Any:
        if 0 < event.sequence <= view.sequence and event.item_id is not None and view.head is not None:
            return view._replace(total_items=view.total_items + 1), FoldResult.APPLIED
        return project(view, site_id, event)

    with mock.patch.object(batch, "project", forget):
        yield


@plant(first_seed=48, parts=["relays"], kinds=["network"])
def a_failed_plan_of_deliveries_is_not_repeated() -> Iterator[None]:
    async def fail(self: Any, *given: Any) -> Any:
        try:
            return await plan(self, *given)
        except PyMongoError:
            return set()

    plan = DeliveryRepository.plan
    with mock.patch.object(DeliveryRepository, "plan", fail):
        yield


@plant(first_seed=59, parts=["relays"], kinds=["calm"])
def deliveries_of_an_ordered_listener_do_not_wait() -> Iterator[None]:
    def at_once(listener: Any, *given: Any, **more: Any) -> Any:
        return new_delivery(dataclasses.replace(listener, ordered=False), *given, **more)

    with mock.patch.object(handler, "new_delivery", at_once):
        yield


@plant(first_seed=45, parts=["relays"], kinds=["kill"])
def nobody_promotes_what_a_killed_relay_has_left_waiting() -> Iterator[None]:
    async def nothing(self: Any, *_: object) -> None:
        """Leave it."""

    with mock.patch.object(DeliveryRepository, "promote_all", nothing):
        yield


@plant(first_seed=59, parts=["relays"], kinds=["calm"])
def an_attempt_that_failed_counts_as_delivered() -> Iterator[None]:
    def believe(*_: Any) -> Any:
        return Delivered()

    with mock.patch.object(worker, "judge", believe):
        yield


@plant(first_seed=46, kinds=["expire", "freeze"])
def galleries_whose_events_have_expired_are_not_repaired() -> Iterator[None]:
    async def nothing(self: Any, *_: object) -> int:
        return 0

    with mock.patch.object(ExpiryHandler, "mark_behind", nothing):
        yield


@plant(first_seed=74, kinds=["expire", "freeze"])
def a_snapshot_leaves_items_that_it_does_not_have() -> Iterator[None]:
    async def nothing(self: Any, *_: object) -> None:
        """Leave them."""

    with mock.patch.object(projection.ProjectionHandler, "_sweep", nothing):
        yield


@plant(first_seed=52)
def the_joined_topic_is_not_audited() -> Iterator[None]:
    async def nothing(self: Any, *_: object) -> AsyncIterator[Any]:
        return
        yield  # makes it a generator

    with mock.patch.object(AuditedJoinPublisher, "suspects", nothing):
        yield


@plant(first_seed=4, parts=["jobs"])
def commands_that_wait_for_a_job_are_deleted_before_they_are_carried_out() -> Iterator[None]:
    carry_out = Executor.carry_out

    async def early(self: Any, commands: Sequence[Any], *, running_job: str | None = None) -> Any:
        await self._repository._jobs.unpark([one.parked_id for one in commands if one.parked_id])
        return await carry_out(self, commands, running_job=running_job)

    with mock.patch.object(Executor, "carry_out", early):
        yield


@plant(first_seed=52, parts=["jobs"])
def a_job_ends_although_commands_wait_for_it() -> Iterator[None]:
    parked = jobs.JobStore.parked

    async def forget(self: Any, gallery_id: str, count: int = 0) -> Any:
        return await parked(self, gallery_id, count) if count > 1 else jobs.ParkedCommands()

    with mock.patch.object(jobs.JobStore, "parked", forget):
        yield


@plant(first_seed=43, parts=["jobs"])
def jobs_of_a_killed_service_are_forgotten() -> Iterator[None]:
    def begin(self: Any, *given: Any, **more: Any) -> None:
        make(self, *given, **more)
        self.began_at = datetime.now(UTC)

    async def open_jobs(self: Any, partitions: Sequence[int]) -> AsyncIterator[Any]:
        async for job in find(self, partitions):
            if job.document["startedAt"] >= self.began_at:
                yield job

    make, find = jobs.JobStore.__init__, jobs.JobStore.open_jobs
    with mock.patch.object(jobs.JobStore, "__init__", begin), mock.patch.object(jobs.JobStore, "open_jobs", open_jobs):
        yield


@plant(first_seed=43, parts=["growth"], kinds=["freeze"])
def a_new_partition_does_not_wait_for_the_former_one() -> Iterator[None]:
    def nothing(self: Any, _: int) -> None:
        """Wait for nothing."""

    with mock.patch.object(TopicLayout, "waits", nothing):
        yield


@plant(first_seed=98, parts=["history"])
def states_in_the_history_do_not_end() -> Iterator[None]:
    async def nothing(self: Any, _: object) -> None:
        """Let them go on."""

    with mock.patch.object(Archive, "_close", nothing):
        yield


@plant(first_seed=98, parts=["history"])
def a_restore_leaves_items_that_the_former_state_lacks() -> Iterator[None]:
    delete_others = restoring.delete_others

    def keep(state: Any, head: Any, page: Any, _: Any, context: Any) -> Any:
        return delete_others(state, head, page, frozenset(item.item_id for item in page), context)

    with mock.patch.object(restoring, "delete_others", keep):
        yield
