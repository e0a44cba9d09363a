"""The API server of Kubernetes creates every native object of the manifests, and warns of none; pods are restricted.

A schema knows fields and types. The server also knows that a mount needs its volume, a selector its labels, and a name
its form.
"""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.helm.accepting import Verdict, verdicts
from tests.support.helm.chart import EXAMPLES
from tests.support.helm.kubernetes_schemas import kinds_made
from tests.support.helm.manifests import Object, objects
from tests.support.tools.running import ToolchainMissing

pytestmark = pytest.mark.timeout(1_200)  # the first time, everything is compiled
NATIVE = {kind for _, kind in kinds_made()}
MADE = {
    f"{example}: {made['kind']} {made['metadata']['name']}": made
    for example in EXAMPLES
    for made in objects(example)
    if made["kind"] in NATIVE
}
POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)


def changed(kind: str, *path: str | int, value: Any) -> Object:
    """The first object of a kind with another value in one place."""
    result = copy.deepcopy(next(made for made in MADE.values() if made["kind"] == kind))
    place: Any = result
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return result


REFUSED: Mapping[str, tuple[Object, str]] = {
    "a misspelt field": (
        changed("StatefulSet", *POD, "terminationGracePeriod", value=30),
        'unknown field "spec.template.spec.terminationGracePeriod"',
    ),
    "a mount without a volume": (
        changed("StatefulSet", *CONTAINER, "volumeMounts", 0, "name", value="gone"),
        'volumeMounts[0].name: Not found: "gone"',
    ),
    "a selector of other labels": (
        changed("Deployment", "spec", "selector", "matchLabels", value={"app": "another"}),
        "`selector` does not match template `labels`",
    ),
    "a long name of a port": (
        changed("StatefulSet", *CONTAINER, "ports", 0, "name", value="a-port-with-a-long-name"),
        "must be no more than 15 characters",
    ),
    "a name in capitals": (changed("Service", "metadata", "name", value="Gateway"), "must consist of lower"),
    "an image without a name": (changed("Deployment", *CONTAINER, "image", value=""), "image: Required value"),
    "two limits for one budget": (
        changed("PodDisruptionBudget", "spec", "minAvailable", value=1),
        "minAvailable and maxUnavailable cannot be both set",
    ),
    "a network that is none": (
        changed("NetworkPolicy", "spec", "egress", 0, "to", value=[{"ipBlock": {"cidr": "10.0.0.0/99"}}]),
        "cidr",
    ),
    "a probe that never passes": (
        changed("StatefulSet", *CONTAINER, "livenessProbe", "successThreshold", value=2),
        "must be 1",
    ),
}
ROOTED = changed("StatefulSet", *CONTAINER, "securityContext", "allowPrivilegeEscalation", value=True)
REPEATED = changed(
    "StatefulSet", *CONTAINER, "env", value=[{"name": "TWICE", "value": "1"}, {"name": "TWICE", "value": "2"}]
)


@pytest.fixture(scope="module")
def said() -> dict[str, Verdict]:
    """The verdicts on all objects: one process judges them."""
    faults = {name: made for name, (made, _) in REFUSED.items()}
    try:
        return verdicts({**MADE, **faults, "rooted": ROOTED, "repeated": REPEATED})
    except ToolchainMissing as missing:
        pytest.skip(str(missing))


def test_every_object_is_created_without_a_warning(said: dict[str, Verdict]) -> None:
    assert {name: said[name] for name in MADE if said[name] != Verdict("", [], [])} == {}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_fault_is_refused(said: dict[str, Verdict], fault: str) -> None:
    assert REFUSED[fault][1] in said[fault].refused


def test_rights_that_a_restricted_pod_may_not_have_are_found(said: dict[str, Verdict]) -> None:
    assert said["rooted"].refused == ""
    assert any("allowPrivilegeEscalation" in found for found in said["rooted"].security)


def test_a_warning_is_found(said: dict[str, Verdict]) -> None:
    assert any("TWICE" in found for found in said["repeated"].warnings)
