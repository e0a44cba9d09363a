"""Composition root of `triptych cluster`."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Mapping, Sequence

from triptych.cli.cluster.observing import observing
from triptych.cli.cluster.parts_file import CLUSTER_DIR, PARTS, PartsFile, parts_file
from triptych.cli.cluster.restarting import Restarter
from triptych.cli.cluster.services import running_services
from triptych.cli.cluster.state import line
from triptych.cli.cluster.status_line import StatusLine
from triptych.cli.installation import DATA_DIR, announced
from triptych.cli.local import demo_gallery, environ_of, handle_as_sigint, prepare, require_plain_http, say
from triptych.cli.settings import CliSettings
from triptych.devstack.cluster import REPLICATION, Cluster, running_cluster
from triptych.devstack.parts import Part
from triptych.devstack.ports import LOOPBACK
from triptych.devstack.stack import exclusive
from triptych.gateway.api.examples import DEV_KEY
from triptych.kit.own_command import as_typed

INTERVAL_SECONDS = 1.0


def run_cluster(settings: CliSettings, restart_seconds: float) -> None:
    """Run everything until SIGINT or SIGTERM. A part that ends starts again after `restart_seconds`.

    Raises:
        StackUnavailable: this machine cannot run the cluster, another stack runs in this folder, or a part did not
            start.
        StartRefused: a setting cannot be used.
    """
    started = time.monotonic()
    require_plain_http(settings)
    signal.signal(signal.SIGTERM, handle_as_sigint)
    with (
        contextlib.suppress(KeyboardInterrupt),
        exclusive(DATA_DIR.resolve()),
        running_cluster(data_dir=CLUSTER_DIR.resolve(), environ=environ_of(settings), say=say) as cluster,
    ):
        settings = settings.model_copy(
            update={
                "kafka_bootstrap": cluster.addresses.kafka_bootstrap,
                "mongo_uri": cluster.addresses.mongo_uri,
                "topic_replication": REPLICATION,
            }
        )
        asyncio.run(prepare(settings))
        with announced(settings), running_services(settings, CLUSTER_DIR.resolve() / "logs") as services:
            parts = [*cluster.nodes, *cluster.members, *(part for processes in services.values() for part in processes)]
            with parts_file(parts) as file:
                gallery_id = demo_gallery(f"http://{LOOPBACK}:{services['gateway'][0].port}")
                say(_ready(cluster, services, parts, gallery_id, time.monotonic() - started))
                asyncio.run(_watch(settings, cluster, services, parts, file, restart_seconds))
    say("Stopped.")


async def _watch(
    settings: CliSettings,
    cluster: Cluster,
    services: Mapping[str, Sequence[Part]],
    parts: Sequence[Part],
    file: PartsFile,
    restart_seconds: float,
) -> None:
    with StatusLine() as shown:
        restarter = Restarter(parts, restart_seconds, shown.say)
        async with observing(settings, cluster, services) as observer, asyncio.TaskGroup() as tasks:

            async def look_after() -> None:
                while True:
                    if restarter.step():
                        file.write()
                    await asyncio.sleep(INTERVAL_SECONDS / 4)

            tasks.create_task(look_after())
            while True:
                state = await observer.observe()
                shown.show(line(state), is_well=state.is_whole)
                await asyncio.sleep(INTERVAL_SECONDS)


def _ready(
    cluster: Cluster, services: Mapping[str, Sequence[Part]], parts: Sequence[Part], gallery_id: str, seconds: float
) -> str:
    """The message for a user: addresses, the key, the processes, and what to try."""
    gateways = [f"http://{LOOPBACK}:{part.port}" for part in services["gateway"]]
    listed = "\n".join(f"  {part.name:<12}{part.child.pid:>8}   {LOOPBACK}:{part.port}" for part in parts)
    return f"""
The cluster is ready after {seconds:.1f} s.

  gateways  {gateways[0]} and {gateways[1]}   key {DEV_KEY}
  Kafka     {cluster.addresses.kafka_bootstrap}
  MongoDB   {cluster.addresses.mongo_uri}
  processes {CLUSTER_DIR / PARTS}, logs in {CLUSTER_DIR}/logs

{listed}

Try, in another terminal:

  1. Kill a broker, a member of the replica set and a worker of each kind at the same moment:
     {as_typed("cluster-kill kafka-1 mongo-1 command-1 projector-1 webhooks-1 gateway-1")}

  2. Read the gallery through the other gateway, and add an item:
     curl -s -H 'Authorization: {DEV_KEY}' {gateways[1]}/progallery/v2/galleries/{gallery_id}
     {as_typed("send CreateItems")} '{{"galleryId":"{gallery_id}","items":[{{"text":{{"html":"hi"}}}}]}}'

The state, as it changes (Ctrl-C stops everything and deletes the data):
"""
