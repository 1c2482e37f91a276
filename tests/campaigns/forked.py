"""Stand-in for Python: have the process that holds the imports fork ``-P -m MODULE ARGUMENT…``.

``forking.py`` writes this into an executable file, with the interpreter's own name in front. It
passes on its standard streams, arguments and environment, lives as long as the process that it
stands for, and ends as that one did. Killed, it takes that one with it.
"""

import json
import os
import signal
import socket
import sys


def main() -> None:
    """Ask, wait, and end with the same status."""
    modules = sys.argv[sys.argv.index("-m") + 1 :]
    environment = dict(os.environ)  # noqa: TID251 - passed on
    asked = json.dumps([modules, environment]).encode()  # noqa: TID251 - the standard library alone
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(environment["FORKING_SOCKET"])
        socket.send_fds(server, [asked], [0, 1, 2])
        os.close(0)  # their other ends must see when that process is gone
        os.close(1)
        signal.signal(signal.SIGTERM, lambda *_: server.send(b"terminate"))
        status = int(server.recv(64) or b"1")
    if status < 0:
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    main()
