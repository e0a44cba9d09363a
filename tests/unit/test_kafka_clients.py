"""Every Kafka client of the product connects as the settings say: its arguments come from one function."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.sources import READS_SOURCES, nodes

pytestmark = READS_SOURCES

SERVICES = Path(__file__).resolve().parents[2] / "services"
CLIENTS = {"AIOKafkaProducer", "AIOKafkaConsumer", "AIOKafkaClient", "AIOKafkaAdminClient", "Reader", "GroupReader"}
SOURCE = "connection_options"


def clients() -> Iterator[tuple[str, ast.Call]]:
    """The calls that make a client, each with where it is."""
    for path in sorted(SERVICES.rglob("*.py")):
        for node in nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLIENTS:
                yield f"{path.relative_to(SERVICES)}:{node.lineno}", node


def test_every_client_gets_its_connection_from_one_function() -> None:
    found = list(clients())
    assert len(found) >= 6
    assert not [where for where, call in found if SOURCE not in ast.unparse(call)]


def test_no_other_module_names_the_arguments_of_a_connection() -> None:
    names = {"bootstrap_servers", "security_protocol", "sasl_mechanism", "sasl_plain_password", "ssl_context"}
    naming = set()
    for path in SERVICES.rglob("*.py"):
        for node in nodes(path):
            named = node.arg if isinstance(node, ast.keyword) else getattr(node, "value", None)
            if isinstance(named, str) and named in names:
                naming.add(path.name)
    assert naming == {"security.py", "refusals.py"}
