"""Reads the rendered manifests of a set of values: objects by kind and name, and the pods that they make."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import yaml

from tests.support.helm.chart import rendered_file

Object = dict[str, Any]
COMPONENT = "app.kubernetes.io/component"
SECRETS_FOLDER = "/etc/triptych/"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C where it is built: ten times as fast."""
_WITH_PODS = ("Deployment", "StatefulSet", "Job")


class Pod(NamedTuple):
    """The template of pods, and the object that makes them."""

    owner: Object
    labels: Mapping[str, str]
    spec: Object

    @property
    def component(self) -> str:
        """The service or the job."""
        return self.labels[COMPONENT]

    @property
    def container(self) -> Object:
        """Its only container."""
        (container,) = self.spec["containers"]
        found: Object = container
        return found

    @property
    def environ(self) -> dict[str, Object]:
        """The environment variables by name."""
        return {entry["name"]: entry for entry in self.container["env"]}

    def files(self) -> set[str]:
        """The paths of the files of secrets, certificates and tokens."""
        sources = [
            source
            for volume in self.spec["volumes"]
            for source in volume.get("projected", {}).get("sources", ())
            if volume["name"] == "secrets"
        ]
        mounts = {mount["name"]: mount["mountPath"] for mount in self.container["volumeMounts"]}
        return {f"{mounts['secrets']}/{path}" for source in sources for path in _paths(source)}


@cache
def objects(example: str) -> tuple[Object, ...]:
    """Everything that a set of values makes."""
    return tuple(found for found in yaml.load_all(rendered_file(example).read_text(), _LOADER) if found)


def of_kind(example: str, kind: str) -> dict[str, Object]:
    """The objects of one kind, by name."""
    return {found["metadata"]["name"]: found for found in objects(example) if found["kind"] == kind}


def pods(example: str) -> list[Pod]:
    """The pods of services and jobs."""
    owners = [found for found in objects(example) if found["kind"] in _WITH_PODS]
    templates = [(owner, owner["spec"]["template"]) for owner in owners]
    return [Pod(owner, template["metadata"]["labels"], template["spec"]) for owner, template in templates]


def selected(example: str, labels: Mapping[str, str]) -> list[Pod]:
    """The pods that have all these labels."""
    return [pod for pod in pods(example) if labels.items() <= pod.labels.items()]


def _paths(source: Object) -> Iterator[str]:
    ((kind, content),) = source.items()
    if kind == "serviceAccountToken":
        yield content["path"]
    else:
        yield from (item["path"] for item in content["items"])
