"""The schema of the chart's values knows every value and setting, and refuses what is wrong."""

import copy
import json
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.support.helm.chart import EXAMPLES, SCHEMA, default_values
from tests.support.helm.setting_names import plain, schema_text

CHECK = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
DEFINITIONS = json.loads(SCHEMA.read_text())["definitions"]


def merged(values: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """As helm merges values: maps are merged, everything else is replaced."""
    result = copy.deepcopy(values)
    for name, value in over.items():
        is_map = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = merged(result[name], value) if is_map else value
    return result


def test_the_names_of_settings_are_those_of_the_code() -> None:
    assert SCHEMA.read_text() == schema_text(), "run `make helm` and review the difference"


def test_secrets_have_no_place_among_the_settings() -> None:
    assert not [name for name in plain() if name.endswith(("PASSWORD", "SECRET", "SECRETS_KEY"))]


def test_the_values_of_the_chart_are_valid() -> None:
    CHECK.validate(default_values())


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_are_valid(example: str) -> None:
    CHECK.validate(merged(default_values(), yaml.safe_load(EXAMPLES[example].read_text())))


def test_the_schema_has_no_other_values_than_the_chart() -> None:
    def compare(values: Any, schema: dict[str, Any], where: str) -> None:
        schema = DEFINITIONS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        if schema.get("additionalProperties") is not False or not isinstance(values, dict) or "oneOf" in schema:
            return
        if "patternProperties" in schema or where.endswith(".secrets"):
            return  # the chart has no settings under these names
        assert set(schema["properties"]) - {"global"} == set(values), where
        for name, value in values.items():
            compare(value, schema["properties"][name], f"{where}.{name}")

    compare(default_values(), json.loads(SCHEMA.read_text()), "values")


@pytest.mark.parametrize(
    "wrong",
    [
        {"gatway": {}},
        {"gateway": {"replica": 2}},
        {"gateway": {"replicas": "two"}},
        {"command": {"terminationGracePeriodSeconds": 20}},
        {"command": {"keda": {"minReplicas": 0}}},
        {"command": {"preStopSeconds": 5}},
        {"settings": {"TRIPTYCH_TOPIC_REPLICATOIN": 3}},
        {"settings": {"TRIPTYCH_KAFKA_PASSWORD": "secret"}},
        {"settings": {"TRIPTYCH_SECRETS_KEY": "secret"}},
        {"settings": {"TRIPTYCH_GATEWAY_PORT": 9000}},
        {"settings": {"TRIPTYCH_MONGO_URI": "mongodb://user:secret@mongo"}},
        {"settings": {"TRIPTYCH_KAFKA_BOOTSTRAP": "kafka"}},
        {"settings": {"TRIPTYCH_TOPIC_PREFIX": ["a", "b"]}},
        {"gateway": {"settings": {"TRIPTYCH_GATEWAY_TLS_KEY_PASSWORD": "secret"}}},
        {"secrets": {"TRIPTYCH_TOPIC_PREFIX": {"secret": "a", "key": "b"}}},
        {"secrets": {"TRIPTYCH_SECRETS_KEY": "secret"}},
        {"secrets": {"TRIPTYCH_SECRETS_KEY": {"secret": "a"}}},
        {"secrets": {"TRIPTYCH_SECRETS_KEY": {"configMap": "a", "key": "b"}}},
        {"secrets": {"TRIPTYCH_KAFKA_TLS_CA_FILE": {"secret": "a", "key": "b", "asVariable": True}}},
        {"secrets": {"TRIPTYCH_KAFKA_TLS_CA_FILE": {"secret": "a", "configMap": "a", "key": "b"}}},
        {"image": {"digest": "sha256:12"}},
        {"image": {"repository": ""}},
        {"gateway": {"ingress": {"hosts": ["galleries.example"]}}},
        {"networkPolicy": {"kafka": {"ports": ["kafka"]}}},
        {"networkPolicy": {"webhooks": {"to": []}}},
        {"gateway": {"disruptionBudget": {"maxUnavailable": 0}}},
    ],
    ids=json.dumps,
)
def test_a_wrong_value_is_refused(wrong: dict[str, Any]) -> None:
    assert not CHECK.is_valid(merged(default_values(), wrong))


@pytest.mark.parametrize(
    "right",
    [
        {"settings": {"TRIPTYCH_KAFKA_PASSWORD_FILE": "/vault/secrets/kafka"}},
        {"settings": {"TRIPTYCH_KAFKA_TLS_CA_FILE": "/vault/secrets/ca.crt"}},
        {"settings": {"OTEL_TRACES_SAMPLER": "always_on"}},
        {"settings": {"TRIPTYCH_MONGO_URI": "mongodb+srv://mongo.example"}},
        {"secrets": {"TRIPTYCH_MONGO_URI": {"secret": "mongo", "key": "uri", "asVariable": True}}},
        {"gateway": {"disruptionBudget": {"maxUnavailable": "50%"}}},
        {"global": {"anything": True}},
    ],
    ids=json.dumps,
)
def test_a_right_value_is_not(right: dict[str, Any]) -> None:
    CHECK.validate(merged(default_values(), right))
