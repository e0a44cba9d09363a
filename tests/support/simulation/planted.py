"""Plants faults into the product. The simulation has to find each of them."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from triptych.command.domain.unit_of_work import UnitOfWork
from triptych.command.store import outbox, repository
from triptych.kit.kafka.consuming import consumer
from triptych.kit.kafka.consuming.finishing import BatchFinisher
from triptych.kit.mongo import fencing, transactions
from triptych.kit.mongo.driver import PyMongoError
from triptych.projector.view import batch, fold
from triptych.projector.view.fold import FoldResult
from triptych.webhooks.model.delivery import Delivered
from triptych.webhooks.relay import handler, worker
from triptych.webhooks.store.deliveries import DeliveryRepository
from triptych.webhooks.store.delivery_documents import new_delivery


@dataclass(frozen=True)
class Plant:
    """A fault; its context has it. `first_seed` is where a search for it may begin to be short."""

    context: Callable[[], AbstractContextManager[object]]
    first_seed: int

    def __call__(self) -> AbstractContextManager[object]:
        """A context in which the product has the fault."""
        return self.context()


PLANTS: dict[str, Plant] = {}
"""By name."""


def plant(first_seed: int = 0) -> Callable[[Callable[[], Iterator[None]]], Plant]:
    """Name a fault by its function."""

    def keep(function: Callable[[], Iterator[None]]) -> Plant:
        made = PLANTS[function.__name__] = Plant(contextlib.contextmanager(function), first_seed)
        return made

    return keep


@plant(first_seed=1)
def the_fence_is_left_out() -> Iterator[None]:
    async def fence(self: Any, session: Any, partitions: Iterable[int]) -> list[Any]:
        return []

    with mock.patch.object(fencing.Ownership, "fence", fence):
        yield


@plant()
def outcomes_of_commands_are_not_stored() -> Iterator[None]:
    async def nothing(self: Any, *_: object) -> None:
        """Store nothing."""

    with mock.patch.object(repository.WriteModelRepository, "_write_outcomes", nothing):
        yield


@plant()
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


@plant(first_seed=6)
def events_left_in_the_outbox_are_forgotten() -> Iterator[None]:
    async def forget(self: Any, partitions: Iterable[int]) -> int:
        return 0

    with mock.patch.object(outbox.Outbox, "flush", forget):
        yield


@plant(first_seed=1)
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


@plant(first_seed=11)
def a_commit_without_an_answer_counts_as_done() -> Iterator[None]:
    async def believe(session: Any) -> None:
        with contextlib.suppress(PyMongoError):
            await session.commit_transaction()

    with mock.patch.object(transactions, "_try_to_commit", believe):
        yield


@plant(first_seed=8)
def a_repeated_event_is_not_published_again() -> Iterator[None]:
    touch = batch._touch

    def forget(made: Any, entry: Any) -> None:
        if made.outcomes[-1] is not FoldResult.REPEATED:
            touch(made, entry)

    with mock.patch.object(batch, "_touch", forget):
        yield


@plant()
def a_repeated_event_is_applied_again() -> Iterator[None]:
    project = fold.project

    def forget(view: Any, site_id: str, event: Any) -> Any:
        if 0 < event.sequence <= view.sequence and event.item_id is not None and view.head is not None:
            return view._replace(total_items=view.total_items + 1), FoldResult.APPLIED
        return project(view, site_id, event)

    with mock.patch.object(batch, "project", forget):
        yield


@plant(first_seed=24)
def a_failed_plan_of_deliveries_is_not_repeated() -> Iterator[None]:
    async def fail(self: Any, *given: Any) -> Any:
        try:
            return await plan(self, *given)
        except PyMongoError:
            return set()

    plan = DeliveryRepository.plan
    with mock.patch.object(DeliveryRepository, "plan", fail):
        yield


@plant(first_seed=6)
def deliveries_of_an_ordered_listener_do_not_wait() -> Iterator[None]:
    def at_once(listener: Any, *given: Any, **more: Any) -> Any:
        return new_delivery(dataclasses.replace(listener, ordered=False), *given, **more)

    with mock.patch.object(handler, "new_delivery", at_once):
        yield


@plant(first_seed=6)
def nobody_promotes_what_a_killed_relay_has_left_waiting() -> Iterator[None]:
    async def nothing(self: Any, *_: object) -> None:
        """Leave it."""

    with mock.patch.object(DeliveryRepository, "promote_all", nothing):
        yield


@plant(first_seed=6)
def an_attempt_that_failed_counts_as_delivered() -> Iterator[None]:
    def believe(*_: Any) -> Any:
        return Delivered()

    with mock.patch.object(worker, "judge", believe):
        yield
