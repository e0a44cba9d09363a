"""Imports run one way, by folder (docs/architecture): a walk over every module of the product."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from tests.support.sources import READS_SOURCES, nodes

pytestmark = READS_SOURCES

ROOT = Path(__file__).resolve().parents[2]
SOURCES = tuple(ROOT / name for name in ("services", "schemas", "deploy"))

# What the modules of a package may import of `triptych` besides the package itself.
MAY_IMPORT = {
    "contract": (),
    "client": ("contract",),
    "devstack": (),
    "kit": (),
    "readmodel": ("contract", "kit"),
    "writemodel": ("kit",),
    "history": ("contract", "kit"),
    "command": ("contract", "history", "kit", "writemodel"),
    "projector": ("contract", "history", "kit", "readmodel", "writemodel"),
    "webhooks": ("contract", "kit"),
    "deadletters": ("contract", "kit"),
    "status": ("command.domain", "command.store", "contract", "history", "kit", "readmodel", "webhooks.store"),
    "gateway": (
        *("contract", "deadletters", "history", "kit", "readmodel", "status", "writemodel"),
        *("webhooks.admin", "webhooks.model", "webhooks.store"),
    ),
    "cli": (
        *("client", "command", "contract", "deadletters", "devstack"),
        *("gateway", "history", "kit", "projector", "readmodel", "status", "webhooks", "writemodel"),
    ),
}

# The rooms of a package, lowest first: a room imports lower ones, never one in its own line or above.
ROOMS = {
    "contract": (("",), ("codec",), ("publishing",)),
    "kit": (
        ("failures",),
        ("attribution", "backoff", "chunks", "keyed_locks", "own_command", "run_all"),
        ("logs",),
        ("process",),
        ("tracing",),
        ("kafka", "mongo"),  # neither knows the other
        ("startup",),
        ("upgrading",),
    ),
    "command": (("domain",), ("store",), ("flow",), ("",), ("restore",)),
    "projector": (("settings",), ("view", "history"), ("join",), ("ingest",), ("",), ("rebuild",)),
    "gateway": (("settings",), ("http",), ("access", "live"), ("writing",), ("lines",), ("api",), ("",)),
    "deadletters": (("model",), ("store",), ("",)),
    "webhooks": (("model",), ("http", "store"), ("settings",), ("admin", "relay"), ("",)),
}

# Rooms that decide without I/O: they see the standard library, the contract, and each other.
PURE = (
    "triptych.command.domain.*",
    "triptych.writemodel.galleries",
    "triptych.projector.view.fold",
    "triptych.projector.join.records",
    "triptych.webhooks.model.*",
)
DRIVERS = (
    "asyncio",
    "aiokafka",
    "faststream",
    "pymongo",
    "fastapi",
    "httpx",
    "aiohttp",
    "triptych.kit",
    "triptych.writemodel.queries",
)

# A wire model of an item or a gallery reads its own JSON exactly; the two rooms know each other.
EXCEPTIONS = {("contract", "", "codec")}


def modules() -> dict[str, Path]:
    """Every module of the product, by its name."""
    found = {}
    for source in SOURCES:
        for path in sorted((source / "triptych").rglob("*.py")):
            name = ".".join(path.relative_to(source).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


@cache
def imports(name: str) -> frozenset[str]:
    """What a module imports, by full names; modules of ours rather than the names in them."""
    found: set[str] = set()
    for node in nodes(MODULES[name]):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(full if full in MODULES else node.module for full in names)
    return frozenset(found)


def room_of(name: str) -> tuple[str, str]:
    """The package of a module and its room there: "" for what lies in none, unless a rule names it."""
    parts = name.split(".")[1:]
    package = parts[0]
    inner = parts[1] if len(parts) > 1 else ""
    known = {room for line in ROOMS.get(package, ()) for room in line}
    return package, inner if inner in known else ""


def test_the_walk_sees_the_whole_product() -> None:
    assert {name.split(".")[1] for name in MODULES} == set(MAY_IMPORT)
    assert len(MODULES) > 200
    for package, lines in ROOMS.items():
        for room in (room for line in lines for room in line if room):
            assert f"triptych.{package}.{room}" in MODULES, (package, room)


def test_imports_run_one_way() -> None:
    assert not [fault for name in MODULES for fault in wrong_way(name)]


def wrong_way(name: str) -> Iterator[str]:
    """What a module imports against the rules."""
    package, room = room_of(name)
    allowed = (f"triptych.{package}", *(f"triptych.{other}" for other in MAY_IMPORT[package]))
    ours = {seen for seen in imports(name) if seen.split(".")[0] == "triptych"}
    for seen in ours:
        if not any(seen == one or seen.startswith(f"{one}.") for one in allowed):
            yield f"{name} imports {seen}"
    level = {one: number for number, line in enumerate(ROOMS.get(package, ())) for one in line}
    for seen in ours:
        other, lower = room_of(seen)
        is_ruled = other == package and lower != room and room in level
        if is_ruled and (package, room, lower) not in EXCEPTIONS and level[lower] >= level[room]:
            yield f"{name} in {room or 'the root'} imports {seen}"


def test_imports_are_absolute_and_go_by_one_name() -> None:
    others = {"services", "schemas", "deploy", "tests", "benchmarks"}
    assert not [(name, seen) for name in MODULES for seen in imports(name) if seen.split(".")[0] in others]
    assert not [
        (name, node.lineno)
        for name in MODULES
        for node in nodes(MODULES[name])
        if isinstance(node, ast.ImportFrom) and node.level
    ]


def test_two_files_name_the_mongodb_driver() -> None:
    drivers = {"pymongo", "motor", "bson"}
    naming = {name for name in MODULES if any(seen.split(".")[0] in drivers for seen in imports(name))}
    files = {"triptych.kit.mongo.driver", "triptych.kit.mongo.network"}
    assert {name for name in naming if not name.startswith("triptych.devstack.")} == files


def test_pure_rooms_do_no_io() -> None:
    pure = [name for name in MODULES if any(fnmatchcase(name, rule) for rule in PURE)]
    assert pure
    assert not [(name, seen) for name in pure for seen in imports(name) if seen.startswith(DRIVERS)]


def test_tests_share_code_only_through_support() -> None:
    """No level of the tests imports from another one, and no test module from a test module."""
    tests = Path(__file__).parents[1]
    faults = []
    for path in sorted(tests.rglob("*.py")):
        for node in nodes(path):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("tests"):
                continue
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            faults += [(path.relative_to(tests), name) for name in names if not name.startswith("tests.support")]
    assert not faults
