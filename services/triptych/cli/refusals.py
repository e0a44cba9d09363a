"""Reports a refusal as a message and an exit status. A traceback always means a fault in the program."""

import contextlib
import os
import sys
from collections.abc import Iterator

import typer

from triptych.devstack.errors import StackUnavailable
from triptych.kit.failures import StartRefused, TransientFailure


@contextlib.contextmanager
def reporting_refusals() -> Iterator[None]:
    """Print a refusal, and end the command with EX_CONFIG (78)."""
    try:
        yield
    except (StartRefused, StackUnavailable, TransientFailure) as refusal:
        print(f"triptych: {refusal}", file=sys.stderr)
        raise typer.Exit(os.EX_CONFIG) from None
