"""Thousands of generated requests, valid and invalid, are sent to the product; every response is documented.

`TRIPTYCH_TEST_CASES` makes the test longer: it is the number of cases drawn for each operation. If it is set, the whole
schema of every operation is covered.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.support.installation import Installation
from tests.support.product import KEY, running_product

CASES = os.environ.get("TRIPTYCH_TEST_CASES")
CASES_MIN = 3_000 if CASES else 2_000
PHASES = ("examples", "coverage", "fuzzing", "stateful")
# Their bodies consist of items and gallery fields, and the body of `PATCH .../galleries/{galleryId}` has all of these;
# or their bodies have the fields of `POST /v1/listeners` and of `.../replay-matching`. Also,
# tests/conformance/rest/test_near_right.py sends odd values in the parameters, headers and fields of each operation.
COVERED_ELSEWHERE = (
    "POST /progallery/v2/galleries",
    "POST /progallery/v2/galleries/{galleryId}/items",
    "POST /progallery/v2/galleries/{galleryId}/items/bulk",
    "PATCH /progallery/v2/galleries/{galleryId}/items/{itemId}",
    "PATCH /v1/listeners/{listenerId}",
    "POST /v1/dead-letters/drop-matching",
)
# The program knows no media type of lines. Their schema is a text.
SERIALIZER = """
import schemathesis

@schemathesis.serializer("application/x-ndjson")
def as_it_is(_context, value):
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b"{}"
"""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)


@pytest.mark.timeout(3_600 if CASES else 600)
async def test_every_answer_is_documented(installation: Installation, tmp_path: Path) -> None:
    # Streams end at once; otherwise the run would not end.
    fields = {
        "gateway_stream_lifetime": 0.05,
        "gateway_stream_heartbeat": 0.05,
        "secrets_key": Fernet.generate_key().decode(),
    }
    async with running_product(installation, **fields) as gateway:
        # Made when it is first asked for, which takes seconds on a busy machine; `st` waits for ten.
        (await gateway.client.get(f"{gateway.address}/openapi.json")).raise_for_status()
        if not CASES:
            tmp_path.joinpath("schemathesis.toml").write_text("".join(map(_not_covered, COVERED_ELSEWHERE)))
        tmp_path.joinpath("lines_of_json.py").write_text(SERIALIZER)
        report = await _run(gateway.address, tmp_path)
    assert report["operations"]["tested"] == report["operations"]["total"]
    assert report["test_cases"]["generated"] >= CASES_MIN


async def _run(address: str, folder: Path) -> Any:
    """The report of a run that found nothing.

    One process, for it takes seconds to import what it needs and to read the document; and one client: Python up to
    3.12 fails now and then where several threads of a process parse code, as Hypothesis does.
    """
    report = folder / "report.json"
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("st"),
        "run",
        f"{address}/openapi.json",
        f"--header=Authorization: {KEY}",
        f"--phases={','.join(PHASES)}",
        f"--checks={','.join(CHECKS)}",
        "--seed=1",
        "--generation-deterministic",
        f"--max-examples={CASES or 3}",
        "--workers=1",
        "--continue-on-failure",
        "--no-shrink",
        "--request-timeout=30",
        "--suppress-health-check=all",
        "--warnings=off",
        "--report=json",
        f"--report-json-path={report}",
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "lines_of_json"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output
    return json.loads(report.read_text())


def _not_covered(operation: str) -> str:
    return f"[[operations]]\ninclude-name = {json.dumps(operation)}\nphases.coverage.enabled = false\n"
