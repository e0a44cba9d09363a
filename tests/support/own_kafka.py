"""A broker of a test's own, which may be stopped and started again with what it has stored."""

import os
from contextlib import ExitStack
from pathlib import Path

from triptych.devstack.cache import cache_dir
from triptych.devstack.kafka import running_kafka
from triptych.devstack.ports import free_ports


class OwnKafka:
    """A broker that the test may stop, and start again with what it has stored."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port, self._controller_port = free_ports(2)
        self._stack = ExitStack()

    @property
    def bootstrap(self) -> str:
        """Its address."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until it is ready."""
        ready = self._stack.enter_context(
            running_kafka(
                data=self._folder / "kafka",
                logs=self._folder / "logs",
                port=self._port,
                controller_port=self._controller_port,
                cache=cache_dir(os.environ),
                environ=os.environ,
                say=print,
            )
        )
        ready()

    def stop(self) -> None:
        """Stop it."""
        self._stack.close()
