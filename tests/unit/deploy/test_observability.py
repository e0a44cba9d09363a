"""Dashboards and alert rules are complete, ask for metrics that exist, and every alert fires when it should."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.alerting import shortened_rules
from tests.support.citations import anchors
from tests.support.exposed import documented, documented_series
from tests.support.pages import ROOT
from tests.support.promql import (
    ALERTS,
    ALERTS_TEST,
    DASHBOARDS,
    grouped,
    named,
    panels,
    questions,
    rules,
    unanswered,
    without_variables,
)

# Of the Python client, which every process has.
FROM_CLIENT = ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds")
PAGE = ROOT / "docs" / "operations" / "alerts.md"
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed; .ci/run installs it")


def run_promtool(*words: str | Path) -> None:
    done = subprocess.run(
        ["promtool", *map(str, words)], capture_output=True, text=True, check=False, cwd=ALERTS.parent
    )
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_the_rules_are_valid() -> None:
    run_promtool("check", "rules", ALERTS)


@promtool
def test_every_alert_fires_when_it_should_and_only_then() -> None:
    run_promtool("test", "rules", ALERTS_TEST)


@promtool
def test_the_shorter_rules_of_the_trial_are_valid(tmp_path: Path) -> None:
    lasting = {rule["for"] for group in shortened_rules()["groups"] for rule in group["rules"]}
    assert lasting == {"1s", "5s", "10s", "15s", "30s"}
    file = tmp_path / "shorter.yaml"
    file.write_text(yaml.safe_dump(shortened_rules()))
    run_promtool("check", "rules", file)


def test_the_trial_names_every_alert() -> None:
    trial = (ROOT / "tests" / "resilience" / "test_alerts_fire.py").read_text()
    assert [rule["alert"] for rule in rules() if rule["alert"] not in trial] == []


def test_every_alert_is_made_to_fire() -> None:
    # The expected samples; the input series have no such label.
    fired = set(re.findall(r"labels: '\w*\{alertname=\"(\w+)\"", ALERTS_TEST.read_text()))
    assert fired == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["for"]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/operations/alerts.md"
    assert anchor == rule["alert"].lower()
    assert anchor in anchors(PAGE.read_text())


def test_the_page_has_no_section_of_an_alert_that_is_gone() -> None:
    sections = set(re.findall(r"^### (Triptych\w+)$", PAGE.read_text(), re.MULTILINE))
    assert sections == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_readable(dashboard: Path) -> None:
    loaded = json.loads(dashboard.read_text())
    assert [variable["name"] for variable in loaded["templating"]["list"]] == ["datasource", "job", "instance"]
    ids = [panel["id"] for panel in loaded["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in loaded["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not taken & cells, f"{panel['title']} is on top of another panel"
        taken |= cells
    for panel in panels(dashboard):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        for target in panel.get("targets", ()):
            for selector in re.findall(r"\{[^}]*\}", target["expr"]):
                assert 'job=~"$job"' in selector, target["expr"]
                assert 'instance=~"$instance"' in selector, target["expr"]


def test_there_is_a_dashboard_for_each_question() -> None:
    assert [dashboard.stem for dashboard in DASHBOARDS] == ["keeping-up", "no-answer", "refused"]


@promtool
def test_the_queries_of_the_dashboards_are_promql(tmp_path: Path) -> None:
    """As rules that record them, since promtool checks rules only."""
    asked = [without_variables(question.expr) for question in questions()]
    assert not [expr for expr in asked if "$" in expr]
    recorded = [{"record": f"question:{number}", "expr": expr} for number, expr in enumerate(asked)]
    file = tmp_path / "questions.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "questions", "rules": recorded}]}))
    run_promtool("check", "rules", file)


def test_dashboards_and_alerts_ask_for_documented_metrics() -> None:
    """That services expose these metrics is tested with `triptych up`."""
    assert unanswered({**documented_series(), **{name: set() for name in FROM_CLIENT}}) == []


def test_every_metric_is_on_a_dashboard_or_in_an_alert() -> None:
    asked = {metric for question in questions() for metric in named(question.expr)}
    unasked = {name for name in documented() if not asked & {name, f"{name}_bucket", f"{name}_count", f"{name}_sum"}}
    # The lag of the views is that of the projector's consumer, in records.
    assert unasked == {"triptych_projection_lag_records", "triptych_join_republished_total"}


def test_names_in_promql_are_found() -> None:
    expr = (
        'sum by (job, le) (rate(triptych_x_bucket{job=~"a{b}=c", code!="up"}[5m])) and on (topic) up{instance="x"} > 0'
    )
    assert named(expr) == {"triptych_x_bucket": {"job", "code"}, "up": {"instance"}}
    assert grouped(expr) == {"job", "le", "topic"}


def test_a_question_that_nobody_answers_is_found() -> None:
    known = {**documented_series(), **{name: set() for name in FROM_CLIENT}}
    del known["triptych_outbox_oldest_seconds"]
    known["triptych_dead_letters_total"] = {"topic"}
    problems = unanswered(known)
    assert "TriptychOutboxWaiting: triptych_outbox_oldest_seconds is not exposed" in problems
    assert "TriptychDeadLetters: triptych_dead_letters_total has no label reason" in problems
    assert "TriptychDeadLetters: no metric has the label reason" in problems
