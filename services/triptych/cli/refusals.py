"""Reports a refusal as a message and an exit status. A traceback always means a fault in the program."""

import contextlib
import sys
from collections.abc import Iterator

import typer

from triptych.cli.exits import ExitStatus
from triptych.devstack.errors import StackUnavailable
from triptych.kit.failures import Fault, StartRefused, TransientFailure, fault_of


@contextlib.contextmanager
def reporting_refusals() -> Iterator[None]:
    """Print a refusal, and end the command with its exit status: see `ExitStatus`."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(ExitStatus.CANCELLED) from None
    except (StartRefused, StackUnavailable) as refusal:
        raise _ended(str(refusal), ExitStatus.REFUSED) from None
    except TransientFailure as failure:
        raise _ended(str(failure), ExitStatus.INTERRUPTED_BY_SERVER) from None
    except BrokenPipeError:
        raise  # whoever reads the output has ended, and Click ends the command without a message
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise _ended(f"{error.filename}: {error.strerror}", ExitStatus.REFUSED) from None
        # The errors of the drivers: a server went away in the middle of the work, or refuses it.
        match fault_of(error):
            case Fault.DEPENDENCY:
                raise _ended(f"a server stopped answering: {error}", ExitStatus.INTERRUPTED_BY_SERVER) from None
            case Fault.OPERATOR:
                raise _ended(str(error), ExitStatus.REFUSED) from None
        raise


def _ended(message: str, status: ExitStatus) -> typer.Exit:
    print(f"triptych: {message}", file=sys.stderr)
    return typer.Exit(status)
