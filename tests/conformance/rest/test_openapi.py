"""Thousands of generated requests, valid and invalid, are sent to the product; every response is documented.

`TRIPTYCH_TEST_CASES` makes the test longer: it is the number of cases drawn for each operation. If it is set, the whole
schema of every operation is covered.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.support.installation import Installation
from tests.support.product import KEY, running_product

CASES = os.environ.get("TRIPTYCH_TEST_CASES")
CASES_MIN = 3_000 if CASES else 2_500
# Several concurrent clients, since a single client would mostly wait.
CLIENTS = 4
# Their bodies consist of items and gallery fields; other operations cover those schemas.
COVERED_ELSEWHERE = (
    "POST /progallery/v2/galleries",
    "POST /progallery/v2/galleries/{galleryId}/items/bulk",
)
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)


@pytest.mark.timeout(600)
async def test_every_answer_is_documented(installation: Installation, tmp_path: Path) -> None:
    # Streams end at once; otherwise the run would not end.
    fields = {
        "gateway_stream_lifetime": 0.05,
        "gateway_stream_heartbeat": 0.05,
        "secrets_key": Fernet.generate_key().decode(),
    }
    async with running_product(installation, **fields) as gateway:
        if not CASES:
            tmp_path.joinpath("schemathesis.toml").write_text("".join(map(_not_covered, COVERED_ELSEWHERE)))
        report = tmp_path / "report.json"
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("st"),
            "run",
            f"{gateway.address}/openapi.json",
            f"--header=Authorization: {KEY}",
            f"--checks={','.join(CHECKS)}",
            "--seed=1",
            "--generation-deterministic",
            f"--max-examples={CASES or 6}",
            f"--workers={CLIENTS}",
            "--continue-on-failure",
            "--no-shrink",
            "--request-timeout=30",
            "--suppress-health-check=all",
            "--warnings=off",
            "--report=json",
            f"--report-json-path={report}",
            cwd=tmp_path,
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
    summary = json.loads(report.read_text())
    assert summary["operations"]["tested"] == summary["operations"]["total"]
    assert summary["test_cases"]["generated"] >= CASES_MIN


def _not_covered(operation: str) -> str:
    return f"[[operations]]\ninclude-name = {json.dumps(operation)}\nphases.coverage.enabled = false\n"
