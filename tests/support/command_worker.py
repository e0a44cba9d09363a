"""Runs command services on records generated from a seed, and kills them one after another at random moments.

`python -m tests.support.command_worker` needs the settings of a service, WORKER_SEED and WORKER_KILLS. It ends with
status 0 if all work was done and the database was consistent after every kill. All workers are forks of this process,
which has imported all modules and opened no connection, so a start takes milliseconds.
"""

import asyncio
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Coroutine
from itertools import count
from typing import Any

from tests.support.command_mix import CommandMix, received
from tests.support.installation import PARTITIONS
from tests.support.write_model import audit, until_no_work_is_left
from triptych.command.app import indexes, make_handler
from triptych.command.handler import CommandHandler
from triptych.command.settings import CommandSettings
from triptych.contract.topics import Topics
from triptych.kit.failures import OwnershipLost, TransientFailure
from triptych.kit.kafka.clients import make_producer
from triptych.kit.kafka.publishing.dead_letters import DeadLetterPublisher
from triptych.kit.kafka.publishing.publisher import Publisher
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.mongo.driver import open_database
from triptych.kit.startup.provision import ensure_indexes

ALL = frozenset(range(PARTITIONS))
BATCHES_MIN = 20
"""With the seed of the test, the 16th batch begins long work. Killed workers may not get there on a slow machine."""
WEIGHTS = {
    "CreateGallery": 4,
    "CloneGallery": 4,
    "UpdateGallery": 4,
    "DeleteGallery": 2,
    "CreateItems": 12,
    "UpdateItem": 6,
    "MoveItem": 6,
    "MoveItems": 3,
    "DeleteItems": 3,
    "ClearGallery": 2,
    "RebalanceItems": 1,
    "RepublishGallery": 1,
    "RestoreGallery": 1,
}


async def work(settings: CommandSettings, seed: int, *, lifetime: float | None = None, until: int = 0) -> None:
    """Handle batches from where the last worker was killed; without a lifetime, end after `until` batches."""
    topics = Topics(settings.topic_prefix)
    chance = random.Random(seed)
    mix = CommandMix(chance, f"seed{seed}", gallery_count=3, most_items=500, trouble=0.15, weights=WEIGHTS)
    started = time.monotonic()
    async with open_database(settings.mongo_uri, settings.mongo_database, settings.mongo_driver) as database:
        publisher = Publisher(lambda: make_producer(settings))
        await publisher.start()
        dead_letters = DeadLetterPublisher(publisher, topics.dead_letter)
        handler = make_handler(database, publisher, publisher, dead_letters, topics, "workers")
        if lifetime is not None:
            threading.Timer(lifetime, os.kill, (os.getpid(), signal.SIGKILL)).start()
        await handler.assigned(ALL)
        logging.info("took over after %.2f s", time.monotonic() - started)
        # This document has the role of committed offsets: earlier batches are finished.
        progress = await database["worker_progress"].find_one({"_id": seed}) or {"done": 0}
        for number in count():
            batch = mix.batch(chance.randint(1, 12))
            if number < progress["done"]:
                continue
            await _finish(handler, received(topics.commands, batch, PARTITIONS, number * 100))
            await database["worker_progress"].replace_one({"_id": seed}, {"done": number + 1}, upsert=True)
            logging.info("batch %d after %.2f s", number, time.monotonic() - started)
            if lifetime is None and number + 1 >= until:
                break
        await until_no_work_is_left(database)
        await handler.released()
        await publisher.stop()


async def _finish(handler: CommandHandler, records: list[IncomingRecord]) -> None:
    """Handle a batch as `BatchConsumer` handles records without faults."""
    while True:
        try:
            await handler.handle(records)
        except OwnershipLost:
            # The last request of a killed worker to MongoDB may take effect after this worker's claim.
            await handler.assigned(ALL)
        except TransientFailure as failure:
            logging.info("again: %s", failure)
            await asyncio.sleep(0.05)
        else:
            return


async def _prepare(settings: CommandSettings) -> None:
    async with open_database(settings.mongo_uri, settings.mongo_database) as database:
        await ensure_indexes(database, indexes(settings))


async def _audit(settings: CommandSettings) -> None:
    async with open_database(settings.mongo_uri, settings.mongo_database) as database:
        await audit(database)


def _in_a_fork(task: Coroutine[Any, Any, None]) -> int:
    """Run a task in a forked process; returns its exit code, or the negative signal that ended it."""
    pid = os.fork()
    if pid:
        task.close()
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)
    try:
        asyncio.run(task)
    except BaseException:
        logging.exception("failed")
        os._exit(1)
    os._exit(0)


def main() -> int:
    """Run and kill workers, audit after each, and finally run a worker to the end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    settings, seed, kills = CommandSettings(), int(os.environ["WORKER_SEED"]), int(os.environ["WORKER_KILLS"])
    chance = random.Random(seed)
    codes = [_in_a_fork(_prepare(settings))]
    for _ in range(kills):
        code = _in_a_fork(work(settings, seed, lifetime=chance.uniform(0.02, 1.0)))
        codes += [0 if code == -signal.SIGKILL else code, _in_a_fork(_audit(settings))]
    codes += [_in_a_fork(work(settings, seed, until=max(kills, BATCHES_MIN))), _in_a_fork(_audit(settings))]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
