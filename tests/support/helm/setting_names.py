"""Finds the names of settings for the schema of the chart's values, and writes them into it."""

import json
from pathlib import Path
from typing import Any, get_args

from tests.support.helm.chart import SCHEMA
from triptych.cli.settings import SETTINGS_OF, CliSettings, Process
from triptych.kit.process.secrets import SUFFIX, secret_fields
from triptych.kit.process.settings import PREFIX

_SERVICES = [process for process in Process if process is not Process.CLI]
WITH_ADDRESS = "mongo_uri"
"""A setting that holds a secret only if the address has a password, which the schema refuses."""


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{field.upper()}"


def read_by(process: Process) -> set[str]:
    """The environment variables that a process reads, without those that name files of secrets."""
    return {variable(field) for field in SETTINGS_OF[process].model_fields}


def secrets() -> list[str]:
    """The settings that hold secrets."""
    return sorted(variable(field) for field in secret_fields(CliSettings))


def files() -> list[str]:
    """The settings that name files."""
    fields = CliSettings.model_fields.items()
    return sorted(variable(name) for name, field in fields if Path in (field.annotation, *get_args(field.annotation)))


def plain() -> list[str]:
    """The settings that may be among the values: no secrets, no ports, which are the chart's, and none of `make up`.

    A file may be named there too, for secrets that something else than Kubernetes puts into the pod.
    """
    known = {name for process in _SERVICES for name in read_by(process)}
    ports = {variable(f"{process}_port") for process in _SERVICES}
    inline = known - set(secrets()) - ports
    return sorted({*inline, variable(WITH_ADDRESS), *(name + SUFFIX for name in secrets())})


def with_names(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the names of the settings as they are in the code."""
    definitions = schema["definitions"]
    own = definitions["settings"]["properties"]
    special = {name: rule for name, rule in own.items() if rule != {"$ref": "#/definitions/scalar"}}
    settings = {name: special.get(name, {"$ref": "#/definitions/scalar"}) for name in plain()}
    sources = {
        **{name: {"$ref": "#/definitions/secretSource"} for name in secrets()},
        **{name: {"$ref": "#/definitions/fileSource"} for name in files()},
    }
    return {
        **schema,
        "definitions": {
            **definitions,
            "settings": {**definitions["settings"], "properties": settings},
            "secrets": {**definitions["secrets"], "properties": dict(sorted(sources.items()))},
        },
    }


def schema_text() -> str:
    """The schema of the values as it should be."""
    schema = with_names(json.loads(SCHEMA.read_text(encoding="utf-8")))
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
