"""The official SDKs of CloudEvents read our records, and our reader accepts the commands that they write."""

import pytest

from tests.support.tools.cases import all_cases
from tests.support.tools.judging import misread, refused_command
from tests.support.tools.running import Report

# cloudevents 10.0.0 for JavaScript cannot read a structured event without a time, which the standard makes optional.
# Only commands are structured, and Triptych alone reads those.
_DEFECT = "RangeError: Invalid time value"


@pytest.mark.parametrize("report", ["node", "java"], indirect=True)
def test_an_sdk_reads_every_record_as_it_was_meant(report: Report) -> None:
    records = all_cases()["records"]
    assert report["records"].keys() == {record["name"] for record in records}
    wrong = [misread(record, report["records"][record["name"]]) for record in records]
    assert [one for one in wrong if one and not (one.endswith(_DEFECT) and "/commands/" in one)] == []


@pytest.mark.parametrize("report", ["node", "java"], indirect=True)
@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_a_command_that_an_sdk_writes_is_accepted(report: Report, mode: str) -> None:
    commands = all_cases()["commands"]
    assert report["commands"].keys() == {command["name"] for command in commands}
    for command in commands:
        (written,) = [one for one in report["commands"][command["name"]] if one["mode"] == mode]
        assert refused_command(command, written["headers"], written["value"]) is None
