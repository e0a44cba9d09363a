"""Whether tracing is on, by the variables of the OpenTelemetry specification, and what a process says about itself."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest
from fastapi import FastAPI

from triptych.kit.failures import StartRefused
from triptych.kit.tracing import setup
from triptych.kit.tracing.setup import exporters, make_provider, start_tracing
from triptych.kit.tracing.spans import request_telemetry, tracer_in_use

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_TRACES_EXPORTER": " "}, ()),
        (ENDPOINT, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "HTTPS://collector/v1/traces"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "console, otlp,console"}, ("console", "otlp")),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, ()),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, ()),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "1"}, ("otlp",)),  # only "true" disables, says the specification
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, ("otlp",)),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "zipkin"}, ()),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, ()),
    ],
)
def test_tracing_is_on_if_an_exporter_or_an_address_is_given(
    environ: Mapping[str, str], expected: tuple[str, ...]
) -> None:
    assert exporters(environ) == expected


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER=zipkin"),
        ({"OTEL_TRACES_EXPORTER": "none,otlp"}, "OTEL_TRACES_EXPORTER=none"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "user:secret@collector:4317"}, "OTEL_EXPORTER_OTLP_ENDPOINT must"),
    ],
)
def test_a_value_without_which_nothing_would_be_exported_is_refused(environ: Mapping[str, str], named: str) -> None:
    with pytest.raises(StartRefused, match=named) as refused:
        exporters(environ)
    assert "secret" not in str(refused.value)


def test_tracing_without_its_libraries_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    monkeypatch.setattr(setup, "NEEDED", ("opentelemetry.not_installed",))
    with pytest.raises(StartRefused, match=r"pip install 'triptych\[tracing\]'"):
        start_tracing("command")
    assert tracer_in_use() is None


def test_a_process_names_itself_unless_the_environment_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    own = make_provider("relay").resource.attributes
    assert own["service.name"] == "triptych-relay"
    assert own["service.version"]
    assert own["service.instance.id"]
    assert own["deployment.environment.name"] == "test"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "galleries")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=7,service.instance.id=i")
    given = make_provider("relay").resource.attributes
    assert [given[f"service.{name}"] for name in ("name", "version", "instance.id")] == ["galleries", "7", "i"]


def test_no_service_imports_the_sdk_while_tracing_is_off_or_what_draws_tracebacks() -> None:
    # FastAPI imports the API of OpenTelemetry in any case, and FastStream a list of names. structlog would import rich.
    code = """
import sys
import triptych.command.app, triptych.projector.app, triptych.webhooks.app, triptych.gateway.app
from triptych.kit.startup.lifecycle import start_tracing
start_tracing("command")
parts = [".".join(name.split(".")[:2]) for name in sys.modules]
unwanted = {"opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.instrumentation", "rich"}
print(sorted(unwanted.intersection(parts)))
"""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_tracing_fastapi_records_nothing_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    app = FastAPI(telemetry=request_telemetry(lambda _scope: False))
    assert not app._native_telemetry.enabled()
    assert not app._telemetry["auto_configure"]
