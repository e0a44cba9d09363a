"""Takes the schemas of the kinds that the chart makes from the package that has all schemas of Kubernetes.

They are kept in `tests/helm/schemas`, without descriptions, so that `make test` needs no package. `make helm` writes
them.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from tests.support.helm.chart import EXAMPLES, KUBERNETES
from tests.support.helm.manifests import objects
from tests.support.pages import ROOT

SCHEMAS = ROOT / "tests" / "helm" / "schemas"
OLDEST = "1.31"
"""The oldest release of Kubernetes in which the chart can be installed."""
RELEASES = (OLDEST, KUBERNETES)
KINDS = "x-kubernetes-group-version-kind"
_REFERENCE = re.compile(r".*#/\$defs/")
_DROPPED = re.compile(r"description|default|x-kubernetes-.*")

Schema = dict[str, Any]


def schema_file(release: str) -> Path:
    """Where the schemas of a release of Kubernetes are kept."""
    return SCHEMAS / f"kubernetes-{release}.json"


def kinds_made() -> set[tuple[str, str]]:
    """API version and kind of every native object of the rendered manifests."""
    made = (found for example in EXAMPLES for found in objects(example))
    others = {path.stem for path in SCHEMAS.glob("[A-Z]*.json")}
    return {(found["apiVersion"], found["kind"]) for found in made if found["kind"] not in others}


def schema_of(document: Schema, api_version: str, kind: str) -> Schema:
    """The schema of one kind of object. Raises KeyError if the release does not know it."""
    return {**document, "$ref": f"#/$defs/{document['kinds'][f'{api_version} {kind}']}"}


def schema_text(release: str) -> str:
    """The schemas of a release, as they should be kept. Raises ModuleNotFoundError without the package."""
    definitions = _definitions(release)
    kinds = {name: _name_of(definitions, *name) for name in sorted(kinds_made())}
    needed = dict(sorted(_with_references(definitions, kinds.values()).items()))
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Kinds of Kubernetes {release}",
        "kinds": {f"{api_version} {kind}": name for (api_version, kind), name in kinds.items()},
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(found)}" for name, found in needed.items())
    return json.dumps(document, indent=2).removesuffix("\n}") + f',\n  "$defs": {{\n{lines}\n  }}\n}}\n'


def _definitions(release: str) -> Mapping[str, Schema]:
    package = files("kubernetes_validate").joinpath("kubernetes-json-schema", f"v{release}.0-local-strict")
    definitions: dict[str, Schema] = json.loads(package.joinpath("_definitions.json").read_text())["$defs"]
    return definitions


def _name_of(definitions: Mapping[str, Schema], api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    wanted = {"group": group, "version": version, "kind": kind}
    (name,) = [name for name, found in definitions.items() if found.get(KINDS) == [wanted]]
    return name


def _with_references(definitions: Mapping[str, Schema], names: Iterable[str]) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _cut(definitions[name])
            waiting += _references(found[name])
    return found


def _cut(schema: Schema) -> Schema:
    """A schema without what no manifest is checked by, and without `status`, which only the cluster writes."""
    if "$ref" in schema:
        return {"$ref": _REFERENCE.sub("#/$defs/", schema["$ref"])}
    cut: Schema = {}
    for name, each in schema.items():
        if name == "properties":
            cut[name] = {field: _cut(found) for field, found in each.items() if field != "status"}
        elif name in ("items", "additionalProperties") and isinstance(each, dict):
            cut[name] = _cut(each)
        elif not _DROPPED.fullmatch(name):
            cut[name] = each
    return cut


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for each in schema:
            yield from _references(each)
    elif isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield _REFERENCE.sub("", reference)
        for each in schema.values():
            yield from _references(each)
