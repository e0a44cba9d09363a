"""Batches are as large as what arrives while they are handled, and processes are as many as their cores need."""

import pytest

from benchmarks.scaling.model import TERMS_OF, Model
from benchmarks.scaling.sharded import Added
from benchmarks.scaling.steady import BATCHING, Conditions, at_rate, enough_processes, largest_batch_seconds
from triptych.command.app import LANES as COMMAND_LANES
from triptych.command.settings import CommandSettings
from triptych.projector.pipeline import LANES as PROJECTOR_LANES
from triptych.projector.settings import ProjectorSettings
from triptych.webhooks.settings import WebhookSettings

GIVEN = Conditions(partitions=12, galleries=1_000, items=1, zipf=0.0)
BATCH_SECONDS, COMMAND_SECONDS = 0.004, 0.0005


def model(**mongod: float) -> Model:
    """A command costs half a millisecond of its service, and a batch 4 ms."""
    costs = {key: dict.fromkeys(terms, 0.0) for key, terms in TERMS_OF.items()}
    costs["command", "command"] |= {"each": COMMAND_SECONDS, "batch": BATCH_SECONDS}
    costs["command", "mongod"] |= mongod
    return Model(costs)


def test_batches_are_formed_as_the_services_form_them() -> None:
    of = {
        "command": (CommandSettings().command_batch_size, COMMAND_LANES.most, COMMAND_LANES.from_records),
        "projector": (ProjectorSettings().projector_batch_size, PROJECTOR_LANES.most, PROJECTOR_LANES.from_records),
        "relay": (WebhookSettings(local=True).webhooks_batch_size, 1, WebhookSettings(local=True).webhooks_batch_size),
    }
    assert {part: (each.largest, each.lanes, each.lanes_from) for part, each in BATCHING.items()} == of


def test_a_rare_command_comes_alone() -> None:
    steady = at_rate(model(), "command", 20, 1, GIVEN)
    assert steady.batch == 1.0
    assert steady.cores["command"] == pytest.approx(20 * (BATCH_SECONDS + COMMAND_SECONDS))


def test_a_batch_has_what_arrives_during_a_batch() -> None:
    steady = at_rate(model(), "command", 1_200, 1, GIVEN)
    handling = BATCH_SECONDS + steady.batch * COMMAND_SECONDS
    assert steady.batch == pytest.approx(1_200 * handling, rel=0.01)
    assert steady.batch > 10


def test_a_batch_has_a_largest_size() -> None:
    assert at_rate(model(), "command", 1_000_000, 1, GIVEN).batch == BATCHING["command"].largest


def test_commits_on_several_shards_make_batches_larger_and_cost_mongod() -> None:
    given = Conditions(12, 1_000, 1, 0.0, added=Added(0.02, 0.0001))
    dearer, plain = (at_rate(model(), "command", 1_000, 1, each) for each in (given, GIVEN))
    assert dearer.batch > plain.batch
    assert dearer.cores["mongod"] == pytest.approx(0.02 * 1_000 / dearer.batch + 0.1)


def test_deliveries_cost_but_do_not_make_batches_last_longer() -> None:
    costs = {key: dict.fromkeys(terms, 0.0) for key, terms in TERMS_OF.items()}
    costs["relay", "webhooks"] |= {"each": 0.0001, "batch": 0.002, "delivery": 0.001}
    alone, wanted = (
        at_rate(Model(costs), "relay", 200, 1, Conditions(12, 1, 1, 0.0, listeners=count)) for count in (0.0, 2.0)
    )
    assert alone.batch == wanted.batch
    assert wanted.cores["webhooks"] - alone.cores["webhooks"] == pytest.approx(0.4)


def test_batches_grow_until_a_busy_process_has_time_for_its_deliveries() -> None:
    costs = {key: dict.fromkeys(terms, 0.0) for key, terms in TERMS_OF.items()}
    costs["relay", "webhooks"] |= {"batch": 0.002, "delivery": 0.001}
    busy = at_rate(Model(costs), "relay", 900, 1, Conditions(12, 1, 1, 0.0, listeners=1.0))
    assert busy.share_of_core == pytest.approx(1.0, rel=0.01)
    assert busy.batch == pytest.approx(0.002 * 900 / 0.1, rel=0.05)


@pytest.mark.parametrize("rate", [10, 900, 45_000])
def test_the_fewest_processes_that_have_room_with_their_largest_batches(rate: float) -> None:
    of = model(each=0.0003)
    steady = enough_processes(of, "command", rate, 0.5, GIVEN)
    seconds = largest_batch_seconds(of, "command", steady.processes, GIVEN)
    assert seconds == pytest.approx(COMMAND_SECONDS + BATCH_SECONDS / BATCHING["command"].largest)
    assert rate * seconds / steady.processes <= 0.5
    assert steady.processes == 1 or rate * seconds / (steady.processes - 1) > 0.5
