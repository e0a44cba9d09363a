"""A program that takes the place of `python`: a process that has imported the product runs the command as a fork.

It passes on its folder, arguments, environment, streams and signals, and ends as the fork does
(`tests/support/preloaded.py`). It imports little, because it is started for each command.
"""

import os
import signal
import socket
import sys


def main() -> int:
    """Have the command run. `sys.argv` has the socket of the other process and the arguments of `python`."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(sys.argv[1])
    environ = [f"{name}={value}" for name, value in os.environ.items()]
    words = [
        os.getcwd(),  # noqa: PTH109 - `pathlib` is slow to import
        str(len(sys.argv) - 2),
        *sys.argv[2:],
        *environ,
    ]
    message = b"\0".join(map(os.fsencode, words))
    socket.send_fds(server, [len(message).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(message)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: server.send(bytes([number])))
    status = int(server.recv(8) or 1)
    if status < 0:  # the number of the signal that ended the fork
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(main())
