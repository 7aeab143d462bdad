"""Stands for ``python -m MODULE`` in a script: a fork of the process at the socket in the environment does what the command is to do.

It imports little, as it is started each time. See `tests.ready_hosts`.
"""

import json
import os
import socket
import sys
from typing import Final

CONTROL: Final = "READY_HOSTS"
"""The setting with the number of the open socket."""

_NUMBER: Final = 8


def main() -> int:
    """Have the command done in this folder with these streams, and give its exit code as a shell does."""
    environment = dict(os.environ)
    control = socket.socket(fileno=int(environment.pop(CONTROL)))
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(control, [b"."], [theirs.fileno(), 0, 1, 2])
    asked = json.dumps({"arguments": sys.argv[1:], "environment": environment, "folder": os.getcwd()}).encode()  # noqa: PTH109 - pathlib takes longer to import
    ours.sendall(len(asked).to_bytes(_NUMBER, "big") + asked)
    ours.recv(_NUMBER)  # its number
    code = int.from_bytes(ours.recv(_NUMBER, socket.MSG_WAITALL), "big", signed=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
