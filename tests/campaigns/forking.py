"""A process that has imported the gateway once, and forks gateways and their workers from itself.

A gateway's start is half a second of imports, which a campaign of thousands of starts cannot pay
each time. What is forked is the real program in a process of its own: it may be killed, and it
makes its workers itself, by the same way (``sys.executable`` is the stand-in there).
"""

import contextlib
import ctypes
import gc
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

import orjson

from tests.campaigns import forked, kill_at

# What a gateway imports; ``gateway.__main__`` is not among them, since the lifeline runs it.
IMPORTED: Final = ("gateway.cli.serve", "gateway.cli.lifeline", "gateway.runner.worker")
MOST_BYTES: Final = 2**20  # of the arguments and the environment of one process


class Forks:
    """The side that forks: a connection for each process, which ends with it."""

    def __init__(self, path: str, stand_in: str) -> None:
        self._stand_in = stand_in
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(path)
        self._listener.listen(64)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._children: dict[int, tuple[int, socket.socket]] = {}

    def run(self) -> None:
        """Until standard input ends."""
        self._selector.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == 0:
                    return
                if key.fileobj is self._listener:
                    self._fork(self._listener.accept()[0])
                elif isinstance(key.fileobj, socket.socket):
                    self._strike(key.data, key.fileobj)
                else:
                    self._reap(key.data, key.fd)

    def close(self) -> None:
        """Kill what lives."""
        for pid in list(self._children):
            os.kill(pid, signal.SIGKILL)

    def _fork(self, connection: socket.socket) -> None:
        asked, streams, _, _ = socket.recv_fds(connection, MOST_BYTES, 3)
        if len(streams) < 3:  # killed before it asked
            connection.close()
            return
        pid = os.fork()
        if pid == 0:
            modules, environment = orjson.loads(asked)
            _become(modules, environment, streams, self._stand_in)
        for stream in streams:
            os.close(stream)
        handle = os.pidfd_open(pid)
        self._children[pid] = (handle, connection)
        self._selector.register(handle, selectors.EVENT_READ, pid)
        self._selector.register(connection, selectors.EVENT_READ, pid)

    def _strike(self, pid: int, connection: socket.socket) -> None:
        """The stand-in was told to end, or is gone."""
        if pid not in self._children:
            return
        told = connection.recv(64)
        os.kill(pid, signal.SIGTERM if told else signal.SIGKILL)
        if not told:
            self._selector.unregister(connection)

    def _reap(self, pid: int, handle: int) -> None:
        _, connection = self._children.pop(pid)
        _, status = os.waitpid(pid, 0)
        self._selector.unregister(handle)
        os.close(handle)
        with contextlib.suppress(KeyError):
            self._selector.unregister(connection)
        with contextlib.suppress(OSError), connection:
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(
    modules: list[str], environment: Mapping[str, str], streams: list[int], stand_in: str
) -> NoReturn:
    """Be the process that was asked for, to its end."""
    status = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, 1024)
        os.environ.clear()  # noqa: TID251 - a child's environment
        os.environ.update(environment)  # noqa: TID251 - the same
        sys.argv = modules
        sys.executable = stand_in
        kill_at.arm(ctypes.CDLL(None), environment, modules[0])
        import_module(modules[0]).main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - as the interpreter does at the end of a program
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


@contextlib.contextmanager
def forking() -> Iterator[tuple[str, dict[str, str]]]:
    """Give the path of the stand-in for Python, and what it needs in its environment."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        stand_in, path = directory / "python", directory / "socket"
        source = Path(forked.__file__).read_text(encoding="utf-8")
        stand_in.write_text(f"#!{sys.executable} -ISs\n{source}", encoding="utf-8")
        stand_in.chmod(0o700)
        command = [sys.executable, "-m", __name__, str(path), str(stand_in)]
        environment = {**os.environ, "LD_PRELOAD": str(kill_at.built(directory))}  # noqa: TID251
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            try:
                yield str(stand_in), {"FORKING_SOCKET": str(path)}
            finally:
                process.stdin.close()
                process.wait(60)


def main() -> None:
    """Import, then fork whenever it is asked for."""
    for name in IMPORTED:
        import_module(name)
    gc.collect()
    gc.freeze()
    forks = Forks(*sys.argv[1:])
    print("ready", flush=True)
    try:
        forks.run()
    finally:
        forks.close()


if __name__ == "__main__":
    main()
