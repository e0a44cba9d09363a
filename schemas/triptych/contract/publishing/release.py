"""Releases the present version of the contract, or says what it breaks of the released ones (`--check`)."""

import argparse
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs

from triptych.contract.publishing.compatibility import Schema
from triptych.contract.publishing.example_meaning import meaning_of
from triptych.contract.publishing.gate import Contract, Failure, Problem, check
from triptych.contract.publishing.publish import outdated
from triptych.contract.publishing.released import (
    RELEASED,
    AlreadyReleased,
    present_contract,
    read_releases,
    write_release,
)


def problems_of(schema: Schema, value: Any) -> list[Problem]:
    """What a JSON Schema finds wrong with a value, as an old consumer that validates would see it."""
    validator = jsonschema_rs.validator_for(dict(schema))
    return [(".".join(map(str, error.instance_path)), error.message) for error in validator.iter_errors(value)]


def failures(present: Contract, directory: Path = RELEASED) -> list[Failure]:
    """What the present contract breaks of all released versions."""
    return [
        failure
        for released in read_releases(directory)
        for failure in check(released, present, problems_of, meaning_of)
    ]


def main(arguments: list[str] | None = None, directory: Path = RELEASED) -> int:
    """Run as a command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m triptych.contract.publishing.release", description=__doc__)
    parser.add_argument("--check", action="store_true", help="release nothing; fail if a released promise is broken")
    options = parser.parse_args(arguments)
    present = present_contract()
    problems = [str(failure) for failure in failures(present, directory)]
    if not options.check:
        problems += [f"{name} differs from the code; run make schemas" for name in outdated()]
    if problems:
        sys.stderr.write("\n".join([*problems, "schemas/README.md explains the rules."]) + "\n")
        return 1
    if options.check:
        versions = ", ".join(released.version for released in read_releases(directory))
        sys.stdout.write(f"{present.version} keeps what these versions have promised: {versions or 'none'}\n")
        return 0
    try:
        folder = write_release(present, directory)
    except AlreadyReleased as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write(f"released {present.version}: {len(present.schemas)} records in {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
