"""What cannot be done, said in words and with an exit status; a trace is for faults of ours."""

import contextlib
import os
import sys
from collections.abc import Iterator

import typer

from triptych.devstack.errors import StackUnavailable
from triptych.kit.failures import StartRefused, TransientFailure


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """End the command with EX_CONFIG (78) if what it does is refused."""
    try:
        yield
    except (StartRefused, StackUnavailable, TransientFailure) as refusal:
        print(f"triptych: {refusal}", file=sys.stderr)
        raise typer.Exit(os.EX_CONFIG) from None
