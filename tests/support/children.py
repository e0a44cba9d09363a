"""What tests of child processes have in common."""

import sys
import time
from collections.abc import Callable

import pytest

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children with their parent")


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition not reached in time"
        time.sleep(0.02)
