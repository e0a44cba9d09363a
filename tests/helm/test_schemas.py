"""Kubernetes, KEDA and the operator of Prometheus know every field of the manifests."""

import copy
import json
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest

from tests.support.helm.chart import EXAMPLES, KUBERNETES
from tests.support.helm.manifests import Object, objects
from tests.support.pages import ROOT

SCHEMAS = ROOT / "tests" / "helm" / "schemas"
OTHERS = {path.stem: json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("*.json"))}
"""The schemas of kinds that are not Kubernetes' own. tests/helm/schemas/README.md says where they are from."""
OLDEST = "1.31"
MADE = [(example, made) for example in EXAMPLES for made in objects(example)]
NATIVE = [(example, made) for example, made in MADE if made["kind"] not in OTHERS]
OTHER = [(example, made) for example, made in MADE if made["kind"] in OTHERS]


def ids(found: list[tuple[str, Object]]) -> list[str]:
    return [f"{example}-{made['kind']}-{made['metadata']['name']}" for example, made in found]


@pytest.mark.parametrize("version", [OLDEST, KUBERNETES])
@pytest.mark.parametrize("made", [made for _, made in NATIVE], ids=ids(NATIVE))
def test_kubernetes_knows_every_field(made: Object, version: str) -> None:
    kubernetes_validate.validate(made, version, strict=True)


@pytest.mark.parametrize("made", [made for _, made in OTHER], ids=ids(OTHER))
def test_operators_know_every_field(made: Object) -> None:
    jsonschema_rs.validator_for(OTHERS[made["kind"]]).validate(made)


def test_every_kind_of_the_operators_is_made() -> None:
    assert {made["kind"] for _, made in OTHER} == set(OTHERS)


def changed(made: Object, *path: str | int, value: Any) -> Object:
    """A copy with another value in one place."""
    result = copy.deepcopy(made)
    place: Any = result
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return result


def test_a_misspelt_field_is_found() -> None:
    (workload,) = [made for example, made in NATIVE if example == "plain" and made["kind"] == "Deployment"]
    wrong = changed(workload, "spec", "template", "spec", "terminationGracePeriod", value=30)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)
    for kind, schema in OTHERS.items():
        made = next(made for _, made in OTHER if made["kind"] == kind)
        assert not jsonschema_rs.is_valid(schema, changed(made, "spec", "misspelt", value=1)), kind
