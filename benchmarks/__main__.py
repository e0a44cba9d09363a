"""Runs benchmarks on the local stack: `python -m benchmarks [SCENARIO ...] [--rounds N | --quick]`.

Two other commands are about scale: `points` measures, and `plan` predicts machines (benchmarks.scaling).
"""

import asyncio
import logging
import shlex
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.arguments import Arguments, parse_arguments
from benchmarks.catalogue import find_scenarios
from benchmarks.judgement import beaten_floors
from benchmarks.machine import describe_machine, package_versions, server_versions
from benchmarks.report import render, write
from benchmarks.runner import play
from benchmarks.scaling import plan_command, run
from benchmarks.scenario import RoundFailed, Scenario
from triptych.devstack.stack import Addresses, StackUnavailable, local_stack

RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    """Measure, print and write the figures.

    The exit status is 0, or 1 if there are no figures or if the product has beaten a floor.
    """
    if sys.argv[1:2] == ["plan"]:
        return plan_command.main(sys.argv[2:])
    if sys.platform != "linux":
        print("The benchmarks read /proc: they run on Linux only.", file=sys.stderr)
        return 1
    if sys.argv[1:2] == ["points"]:
        return run.main(sys.argv[2:])
    scenarios = find_scenarios()
    arguments = parse_arguments(sys.argv[1:], scenarios)
    # A new topic has no leader for a moment, and the client logs a warning for each retry.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory(prefix="triptych-bench-") as folder:
            data_dir = Path(folder)
            with local_stack(data_dir=data_dir, keep=False) as addresses:
                beaten = asyncio.run(_measure(arguments, scenarios, addresses, data_dir / "logs"))
    except (RoundFailed, StackUnavailable) as failure:
        print(failure, file=sys.stderr)
        return 1
    for line in beaten:
        print(line, file=sys.stderr)
    return 1 if beaten else 0


async def _measure(arguments: Arguments, scenarios: dict[str, Scenario], addresses: Addresses, logs: Path) -> list[str]:
    """Play the scenarios, and write their figures; a line for each figure in which a floor was beaten."""
    circumstances = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "machine": describe_machine(),
        "servers": await server_versions(addresses),
        "packages": package_versions(),
    }
    results = []
    for name in arguments.scenarios:
        results.append(await play(scenarios[name], arguments.rounds, addresses, logs, _say))
        print(render(results[-1]), flush=True)
    write(RESULTS, results, circumstances)
    _say(f"written: {RESULTS}")
    return [line for result in results for line in beaten_floors(result)]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
