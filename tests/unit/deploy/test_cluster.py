"""How the servers of a local cluster are configured, and how their processes are killed and started again."""

import base64
import os
import re
from pathlib import Path

from triptych.contract.topics import Topics
from triptych.devstack.cluster import COUNT, NODE_SETTINGS, REPLICATION
from triptych.devstack.kafka_folder import KafkaNode, node_properties, own_ids
from triptych.devstack.parts import Part
from triptych.devstack.replica_set import configuration
from triptych.kit.mongo.driver import MAJORITY_MS

NODES = [KafkaNode(number, 20_000 + number, 21_000 + number) for number in range(1, COUNT + 1)]
META = "#\n#Fri Nov 27\nnode.id=1\ndirectory.id=KlaS5hBJL7Cr76GudPuKaQ\nversion=1\ncluster.id=dHJpcHR5Y2gtbG9jYWwtMQ\n"


def test_nodes_know_each_other_and_listen_elsewhere() -> None:
    properties = [node_properties(node, NODES, Path(f"/{node.number}")) for node in NODES]
    assert {each["controller.quorum.voters"] for each in properties} == {
        "1@127.0.0.1:21001,2@127.0.0.1:21002,3@127.0.0.1:21003"
    }
    for name in ("node.id", "listeners", "log.dirs"):
        assert len({each[name] for each in properties}) == COUNT


def test_one_dead_node_stops_no_topic() -> None:
    replicated = {name: value for name, value in NODE_SETTINGS.items() if name.endswith("replication.factor")}
    least = {name: value for name, value in NODE_SETTINGS.items() if re.search(r"min\.(isr|insync)", name)}
    assert set(replicated.values()) == {str(COUNT)}
    assert set(least.values()) == {str(COUNT - 1)}
    # What a single node stores with one replica would be lost with the node.
    single = {name for name, value in node_properties(NODES[0], NODES, Path("/")).items() if value == "1"}
    assert single - {"node.id"} <= NODE_SETTINGS.keys()
    for topic in Topics().catalogue(12, REPLICATION):
        assert (topic.replication, topic.config["min.insync.replicas"]) == (COUNT, str(COUNT - 1))


def test_a_formatted_folder_gets_ids_of_its_own() -> None:
    copies = [own_ids(META, 2), own_ids(META, 3)]
    assert [re.findall(r"(?m)^node\.id=(\d+)$", copy) for copy in copies] == [["2"], ["3"]]
    ids = {re.search(r"(?m)^directory\.id=(.*)$", copy).group(1) for copy in copies}  # type: ignore[union-attr]
    assert len(ids) == 2
    assert {len(base64.urlsafe_b64decode(f"{one}==")) for one in ids} == {16}
    assert all("cluster.id=dHJpcHR5Y2gtbG9jYWwtMQ\n" in copy for copy in copies)


def test_any_member_may_become_primary_before_a_write_gives_up() -> None:
    made = configuration(["a:1", "b:2", "c:3"])
    assert [member["host"] for member in made["members"]] == ["a:1", "b:2", "c:3"]
    assert not any({"priority", "votes", "arbiterOnly", "hidden"} & member.keys() for member in made["members"])
    assert made["settings"]["electionTimeoutMillis"] < MAJORITY_MS


def test_a_killed_part_starts_again_and_its_log_is_kept(tmp_path: Path) -> None:
    part = Part(
        "one", ["sh", "-c", "echo $WORD; exec sleep 60"], port=1, logs=tmp_path, env={**os.environ, "WORD": "x"}
    )
    assert [part.is_running] == [False]  # a list, because mypy would take the property for a constant
    part.stop(0)
    part.start()
    try:
        first = part.child
        part.wait_until(lambda child: child.log.read_text() == "x\n", timeout=20)
        part.kill()
        first.stop(5)
        assert (part.is_running, first.poll()) == (False, -9)
        part.start()
        part.wait_until(lambda child: child.log.read_text() == "x\n", timeout=20)
        assert [part.is_running] == [True]
        assert part.child.pid != first.pid
        assert sorted(log.name for log in tmp_path.iterdir()) == ["one.2.log", "one.log"]
    finally:
        part.stop(0)
    assert [part.is_running] == [False]
