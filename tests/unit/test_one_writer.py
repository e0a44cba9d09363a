"""Each collection has one package that writes to it; other packages read it in modules that write nothing."""

import ast
import importlib
from collections import defaultdict
from pathlib import Path

from tests.support.sources import READS_SOURCES, nodes

pytestmark = READS_SOURCES

ROOT = Path(__file__).parents[2] / "services" / "triptych"
# They write on behalf of the service that hands them its collection.
GENERIC = {"kit"}
WRITES = {
    "bulk_write",
    "delete_many",
    "delete_one",
    "find_one_and_delete",
    "find_one_and_replace",
    "find_one_and_update",
    "insert_many",
    "insert_one",
    "replace_one",
    "update_many",
    "update_one",
}


def opened(module: Path) -> set[str]:
    """The collections that a module opens: `database[NAME]`, `database["name"]`, or those of a version of the views."""
    found = set()
    for node in nodes(module):
        if isinstance(node, ast.Subscript) and named(node.value) in {"database", "_database"}:
            for part in ast.walk(node.slice):
                if isinstance(part, ast.Constant):
                    found.add(str(part.value))
                elif isinstance(part, ast.Attribute):
                    found.add(f"views: {part.attr}")
                elif isinstance(part, ast.Name) and part.id.isupper():
                    found.add(getattr(importlib.import_module(dotted(module)), part.id))
    return found


def named(node: ast.expr) -> str | None:
    """The last name of `database` or `self._database`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def dotted(module: Path) -> str:
    return ".".join(("triptych", *module.relative_to(ROOT).with_suffix("").parts))


def is_writing(module: Path) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr in WRITES for node in nodes(module))


def test_each_collection_is_written_by_one_package() -> None:
    writers: defaultdict[str, set[str]] = defaultdict(set)
    readers: defaultdict[str, set[str]] = defaultdict(set)
    for module in sorted(ROOT.rglob("*.py")):
        package = module.relative_to(ROOT).parts[0]
        if package not in GENERIC:
            for collection in opened(module):
                (writers if is_writing(module) else readers)[collection].add(package)
    assert {collection: packages for collection, packages in writers.items() if len(packages) > 1} == {}
    assert len(writers) >= 12
    # What this test rests on: it sees the collections that two packages share.
    assert readers["galleries"] >= {"writemodel"}
    assert writers["galleries"] == {"command"}
    assert writers["views: galleries"] == {"projector"}
