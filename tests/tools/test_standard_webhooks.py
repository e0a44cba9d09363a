"""The reference libraries of Standard Webhooks verify what the relay signs, and nothing that was changed or is old."""

import pytest

from tests.support.tools.cases import webhooks
from tests.support.tools.running import Report


@pytest.mark.parametrize("report", ["node", "go"], indirect=True)
def test_a_library_verifies_genuine_deliveries_and_no_others(report: Report) -> None:
    wanted = {one["name"]: one["genuine"] for one in webhooks()}
    assert {name: outcome.get("verified", False) for name, outcome in report["webhooks"].items()} == wanted
