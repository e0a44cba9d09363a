"""Kubernetes, KEDA and the operator of Prometheus know every field of the manifests, and no required one is missing."""

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest

from tests.support.helm.chart import EXAMPLES
from tests.support.helm.kubernetes_schemas import RELEASES, SCHEMAS, kinds_made, schema_file, schema_of
from tests.support.helm.manifests import Object, objects

OTHERS = {path.stem: json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("[A-Z]*.json"))}
"""The schemas of kinds that are not Kubernetes' own. tests/helm/schemas/README.md says where they are from."""
every_release = pytest.mark.parametrize("release", RELEASES)


@cache
def checker(release: str, api_version: str, kind: str) -> Any:
    document = json.loads(schema_file(release).read_text())
    return jsonschema_rs.validator_for(OTHERS.get(kind) or schema_of(document, api_version, kind))


def violations(made: Object, release: str) -> list[str]:
    check = checker(release, made["apiVersion"], made["kind"])
    name = f"{made['kind']} {made['metadata']['name']}"
    return [f"{name}, {'.'.join(map(str, each.instance_path))}: {each.message}" for each in check.iter_errors(made)]


def one_of_each_kind() -> Iterator[Object]:
    found = {made["kind"]: made for example in EXAMPLES for made in objects(example)}
    yield from found.values()


@every_release
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_manifest_is_valid(example: str, release: str) -> None:
    assert [said for made in objects(example) for said in violations(made, release)] == []


@every_release
def test_the_schemas_are_those_of_the_kinds_that_are_made(release: str) -> None:
    document = json.loads(schema_file(release).read_text())
    assert set(document["kinds"]) == {" ".join(kind) for kind in kinds_made()}, "run `make helm`"
    assert {made["kind"] for made in one_of_each_kind()} > set(OTHERS)


# Planted faults


def changed(made: Object, *path: str | int, value: Any) -> Object:
    """A copy with another value in one place."""
    result = copy.deepcopy(made)
    place: Any = result
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return result


@every_release
def test_a_field_that_does_not_exist_is_found_in_every_kind(release: str) -> None:
    for made in one_of_each_kind():
        assert violations(changed(made, "misspelt", value=1), release), made["kind"]
        if "spec" in made:
            assert violations(changed(made, "spec", "misspelt", value=1), release), made["kind"]


POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)


@every_release
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*POD, "terminationGracePeriod"), 30),
        ((*POD, "terminationGracePeriodSeconds"), "30"),
        ((*POD, "volumes", 0, "emptyDir"), []),
        ((*CONTAINER, "securityContext", "readonlyRootFilesystem"), True),
        ((*CONTAINER, "livenessProbe", "httpGet", "port"), ["health"]),
        ((*CONTAINER, "env", 0, "value"), 1),
        ((*CONTAINER, "name"), 7),
        (("spec", "replicas"), "2"),
        (("spec", "selector"), "triptych"),
        (("status",), {}),
    ],
    ids=lambda given: ".".join(map(str, given)) if isinstance(given, tuple) else None,
)
def test_a_fault_is_found(path: tuple[str | int, ...], value: Any, release: str) -> None:
    made = next(made for made in objects("plain") if made["kind"] == "StatefulSet")
    assert violations(changed(made, *path, value=value), release)


@every_release
def test_a_required_field_that_is_missing_is_found(release: str) -> None:
    made = copy.deepcopy(next(made for made in objects("plain") if made["kind"] == "StatefulSet"))
    del made["spec"]["selector"]
    assert violations(made, release)


def test_a_release_does_not_know_kinds_of_others() -> None:
    document = json.loads(schema_file(RELEASES[0]).read_text())
    with pytest.raises(KeyError):
        schema_of(document, "apps/v1beta1", "StatefulSet")
