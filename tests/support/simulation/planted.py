"""Faults to plant into the product, each of which the simulation has to find."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from triptych.command.domain.unit_of_work import UnitOfWork
from triptych.command.flow import writer
from triptych.command.store import outbox, repository
from triptych.kit.kafka.consuming import consumer
from triptych.kit.kafka.consuming.finishing import BatchFinisher
from triptych.kit.kafka.publishing import publisher
from triptych.kit.mongo import fencing, transactions
from triptych.kit.mongo.driver import PyMongoError
from triptych.projector.join.publisher import JoinPublisher
from triptych.projector.view import batch
from triptych.projector.view.fold import FoldResult

Plant = Callable[[], AbstractContextManager[object]]
PLANTS: dict[str, Plant] = {}
"""By name."""


def plant(function: Callable[[], Iterator[None]]) -> Plant:
    """Name a fault by its function."""
    made = contextlib.contextmanager(function)
    PLANTS[function.__name__] = made
    return made


@plant
def the_fence_is_left_out() -> Iterator[None]:
    async def fence(self: Any, session: Any, partitions: Iterable[int]) -> list[Any]:
        return []

    with mock.patch.object(fencing.Ownership, "fence", fence):
        yield


@plant
def open_transactions_of_former_owners_are_left_open() -> Iterator[None]:
    async def nothing(self: Any, partitions: Iterable[int]) -> None:
        """Leave them."""

    with mock.patch.object(fencing.Ownership, "_end_transactions", nothing):
        yield


@plant
def outcomes_of_commands_are_not_stored() -> Iterator[None]:
    async def nothing(self: Any, *_: object) -> None:
        """Store nothing."""

    with mock.patch.object(repository.WriteModelRepository, "_write_outcomes", nothing):
        yield


@plant
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


@plant
def events_left_in_the_outbox_are_forgotten() -> Iterator[None]:
    async def forget(self: Any, partitions: Iterable[int]) -> int:
        return 0

    with mock.patch.object(outbox.Outbox, "flush", forget):
        yield


@plant
def a_failed_publication_is_not_made_up_for_before_the_next() -> Iterator[None]:
    class Forgetful(set[int]):
        def __or__(self, other: Any) -> Any:
            return self

        __ior__ = __or__

    begin = writer.Writer.__init__

    def forget(self: Any, *given: Any) -> None:
        begin(self, *given)
        self._unpublished = Forgetful()

    async def leftovers(self: Any, partitions: frozenset[int]) -> int:
        async with self._locks.of(partitions):
            self._head_cache.clear()
            return int(await self._flush(partitions))

    with (
        mock.patch.object(writer.Writer, "__init__", forget),
        mock.patch.object(writer.Writer, "publish_leftovers", leftovers),
    ):
        yield


@plant
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


@plant
def a_commit_without_an_answer_counts_as_done() -> Iterator[None]:
    async def believe(session: Any) -> None:
        with contextlib.suppress(PyMongoError):
            await session.commit_transaction()

    with mock.patch.object(transactions, "_try_to_commit", believe):
        yield


@plant
def a_commit_without_an_answer_counts_as_undone() -> Iterator[None]:
    attempt = transactions._try_to_commit

    async def doubt(session: Any) -> None:
        try:
            await attempt(session)
        except transactions.OutcomeUnknown as error:
            raise repository.Conflict from error

    with mock.patch.object(transactions, "_try_to_commit", doubt):
        yield


@plant
def the_outbox_is_read_before_a_majority_has_it() -> Iterator[None]:
    async def nothing(_: Any) -> None:
        """Wait for nobody."""

    with mock.patch.object(transactions, "wait_for_majority", nothing):
        yield


@plant
def a_repeated_event_is_not_published_again() -> Iterator[None]:
    touch = batch._touch

    def forget(made: Any, entry: Any) -> None:
        if made.outcomes[-1] is not FoldResult.REPEATED:
            touch(made, entry)

    with mock.patch.object(batch, "_touch", forget):
        yield


@plant
def a_repeated_event_is_applied_again() -> Iterator[None]:
    project = batch.project

    def forget(view: Any, site_id: str, event: Any) -> Any:
        if 0 < event.sequence <= view.sequence and event.item_id is not None and view.head is not None:
            return view._replace(total_items=view.total_items + 1), FoldResult.APPLIED
        return project(view, site_id, event)

    with mock.patch.object(batch, "project", forget):
        yield


@plant
def records_of_former_owners_stay_on_the_joined_topic() -> Iterator[None]:
    async def nothing(self: Any, partitions: Any) -> int:
        return 0

    with mock.patch.object(JoinPublisher, "republish_overwritten", nothing):
        yield


@plant
def several_first_batches_are_sent_at_once() -> Iterator[None]:
    async def at_once(self: Any, producer: Any, destination: Any, batches: Sequence[Any]) -> Sequence[Any]:
        return batches

    with mock.patch.object(publisher.Publisher, "_introduce", at_once):
        yield
