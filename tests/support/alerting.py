"""Runs a real Prometheus with the rule file of the product, its times shortened, and asks it which alerts fire."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support.exposed import SERVICES
from tests.support.plain_http import NO_TLS
from tests.support.promql import ALERTS
from tests.support.waiting import eventually
from triptych.devstack.ports import LOOPBACK, free_ports

SHORTER = 60
"""A minute of a rule lasts a second."""
LIMITS_SHORTER = 20
"""Ages, whose limits are in seconds. Services measure them every 2 to 10 s, and these intervals stay as they are."""
SCRAPE_SECONDS = 1
LIMITS = {
    "TriptychWaiting": "> 30",
    "TriptychLag": "> 60",
    "TriptychOutboxWaiting": "> 60",
    "TriptychDeliveriesLate": "> 60",
}
"""The limits in seconds of an age. All others are counts and shares, and stay as they are."""
_UNIT_SECONDS = {"m": 60, "h": 3_600}


def seconds_of(duration: str) -> int:
    """The seconds of a duration such as `5m`, divided by `SHORTER`."""
    return int(duration[:-1]) * _UNIT_SECONDS[duration[-1]] // SHORTER


def shortened(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule with shorter times: what it asks for stays the same.

    The pace of repeated batches is the services' own. So the window of that rule is only ten times shorter, and so is
    the number of repetitions in it.
    """
    name, expr = rule["alert"], rule["expr"]
    if name == "TriptychRetrying":
        assert "[5m])) > 10" in expr
        expr = expr.replace("[5m])) > 10", "[30s])) > 1")
    if name in LIMITS:
        limit = LIMITS[name]
        assert expr.endswith(limit)
        expr = f"{expr.removesuffix(limit)}> {int(limit.split()[1]) / LIMITS_SHORTER:g}"
    # The age of a process that counted before it was scraped first.
    expr = re.sub(r"\b(900|3600)\b", lambda found: str(int(found[1]) // LIMITS_SHORTER), expr)
    expr = re.sub(r"\[(\d+[mh])\]", lambda found: f"[{seconds_of(found[1])}s]", expr)
    return {**rule, "expr": expr, "for": f"{seconds_of(rule['for'])}s"}


def shortened_rules() -> dict[str, Any]:
    """The rule file, with shorter times."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return {"groups": [{**group, "rules": [shortened(rule) for rule in group["rules"]]} for group in groups]}


@dataclass
class Prometheus:
    """A running Prometheus."""

    folder: Path
    address: str

    def watch(self, addresses: Mapping[str, str]) -> None:
        """Scrape these processes, `host:port` by the name of their service, and no others."""
        for service in SERVICES:
            targets = [addresses[service]] if service in addresses else []
            written = self.folder / f"{service}.new"
            written.write_text(json.dumps([{"targets": targets}]))
            written.replace(self.folder / f"{service}.json")

    async def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of Prometheus' API."""
        async with httpx.AsyncClient(base_url=self.address, timeout=10, verify=NO_TLS) as client:
            answer = await client.get(f"/api/v1/{path}", params=parameters)
            answer.raise_for_status()
            return answer.json()["data"]

    async def firing(self) -> dict[str, list[dict[str, str]]]:
        """The labels of all alerts that fire now, by the name of the alert."""
        found: dict[str, list[dict[str, str]]] = {}
        for alert in (await self.ask("alerts"))["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    async def started_at(self, service: str) -> set[str]:
        """When the processes of a service were started that Prometheus has seen within the last half minute."""
        query = f'process_start_time_seconds{{job="triptych-{service}"}}[30s]'
        found = (await self.ask("query", query=query))["result"]
        return {value for series in found for _, value in series["values"]}

    async def until_seen(self, service: str, before: set[str]) -> None:
        """Wait until Prometheus has seen a process that was started later than these."""

        async def is_seen() -> bool:
            return bool(await self.started_at(service) - before)

        await eventually(is_seen, f"Prometheus sees a new {service}", deadline_seconds=60)

    async def fires(self, name: str, deadline_seconds: float = 60.0, **labels: str) -> None:
        """Wait until an alert with these labels fires."""

        async def does() -> bool:
            return any(labels.items() <= alert.items() for alert in (await self.firing()).get(name, ()))

        await eventually(does, f"{name} fires {labels}", deadline_seconds=deadline_seconds)

    async def all_fire(self, *names: str, deadline_seconds: float = 60.0) -> None:
        """Wait until each of these alerts has fired, not necessarily all at the same time."""
        await asyncio.gather(*(self.fires(name, deadline_seconds) for name in names))

    async def resolves(self, deadline_seconds: float = 200.0) -> None:
        """Wait until no alert fires."""
        firing: dict[str, list[dict[str, str]]] = {}

        async def is_quiet() -> bool:
            firing.clear()
            firing.update(await self.firing())
            return not firing

        try:
            await eventually(is_quiet, "no alert fires", deadline_seconds=deadline_seconds)
        except AssertionError:
            raise AssertionError(f"these alerts still fire after {deadline_seconds:g} s: {firing}") from None


@contextmanager
def running_prometheus(folder: Path) -> Iterator[Prometheus]:
    """Run Prometheus in a folder; it scrapes nothing yet."""
    (port,) = free_ports(1)
    folder.mkdir()
    (folder / "rules.yaml").write_text(yaml.safe_dump(shortened_rules()))
    jobs = [
        {
            "job_name": f"triptych-{name}",
            "file_sd_configs": [{"files": [str(folder / f"{name}.json")], "refresh_interval": "1s"}],
        }
        for name in SERVICES
    ]
    config = {
        "global": {
            "scrape_interval": f"{SCRAPE_SECONDS}s",
            "scrape_timeout": f"{SCRAPE_SECONDS}s",
            "evaluation_interval": f"{SCRAPE_SECONDS}s",
        },
        "rule_files": [str(folder / "rules.yaml")],
        "scrape_configs": jobs,
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={LOOPBACK}:{port}",
                "--rules.alert.resend-delay=1s",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield Prometheus(folder, f"http://{LOOPBACK}:{port}")
    finally:
        process.terminate()
        process.wait(20)
