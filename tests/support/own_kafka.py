"""A separate broker for one test, which may be stopped and started again with its data."""

import os
from contextlib import ExitStack
from pathlib import Path

from triptych.devstack.cache import cache_dir
from triptych.devstack.kafka import running_kafka
from triptych.devstack.ports import free_ports


class OwnKafka:
    """A broker that the test may stop and start again with its data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port, self._controller_port = free_ports(2)
        self._stack = ExitStack()

    @property
    def bootstrap(self) -> str:
        """The address of the broker."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the broker and wait until it is ready."""
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
        """Stop the broker."""
        self._stack.close()
