"""Times that are stored or compared come from `triptych.kit.process.clock`; no other module reads the machine's."""

import ast
from pathlib import Path

from tests.support.sources import READS_SOURCES, nodes

pytestmark = READS_SOURCES

ROOT = Path(__file__).parents[2] / "services"
OWN_CLOCK = {
    "triptych/kit/process/clock.py",
    "triptych/kit/kafka/tokens.py",  # an identity provider's token ends by another clock
    "triptych/kit/tracing/batches.py",  # spans have the machine's time everywhere
}
READS = {
    "datetime": {"now", "today", "utcnow"},
    "time": {"time", "time_ns"},
}


def reads_the_machine(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return name in READS.get(owner, ())
        case ast.ImportFrom(module="time", names=names):
            return any(alias.name in READS["time"] for alias in names)
    return False


def test_one_module_reads_the_clock_of_the_machine() -> None:
    reading = {
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.rglob("*.py"))
        if any(reads_the_machine(node) for node in nodes(path))
    }
    assert reading == OWN_CLOCK
