"""An emulator in a thread of the calling process, on a free loopback port.

It survives whatever happens to the program under test, and is steered without HTTP.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import uvicorn

from gateway.clock import Clock
from gateway.emulator.api.control import job_state
from gateway.emulator.app import create_app
from gateway.emulator.faults.table import make_fault
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.protocol.errors import JsonObject
from gateway.emulator.serve import GRACE_SECONDS, listen, make_server
from gateway.emulator.state.state import EmulatorState

START_SECONDS: Final = 60


class Emulator:
    """A running emulator: where it is, what it accepted, and how to make it misbehave."""

    def __init__(self, base_url: str, state: EmulatorState) -> None:
        self.base_url = base_url
        """``http://127.0.0.1:PORT``, without a version."""
        self._state = state

    def journal(self, kind: str = "") -> list[JsonObject]:
        """Return what was accepted, in order; of one kind if given (``create``, ``upload`` ...)."""
        return self._state.journal.entries(kind)

    def jobs(self) -> list[JsonObject]:
        """Return every job with its state and counts, deleted ones too, as JSON objects."""
        return [job_state(self._state, job) for job in self._state.jobs()]

    def calls(self) -> dict[str, int]:
        """Count the calls of each operation, whatever was answered."""
        return dict(self._state.calls)

    def ledger(self) -> list[JsonObject]:
        """Return what each line and synchronous call cost; empty without the option ``ledger``."""
        return [one.wire() for one in self._state.charges()]

    def fault(self, name: str, **parameters: object) -> None:
        """Arm a fault of :data:`gateway.emulator.faults.table.FAULTS` with parameters of its own.

        Raises ValueError for an unknown name or parameter.
        """
        self._state.faults.arm(make_fault(name, parameters))

    def faults(self) -> list[dict[str, object]]:
        """Return the armed faults with how often each was asked and applied."""
        return self._state.armed()

    def clear_faults(self) -> None:
        """Disarm everything."""
        self._state.disarm()

    def advance(self, seconds: float) -> None:
        """Move the emulator's clock forward by seconds of its own, and wait for jobs that are over.

        Raises ValueError for a negative number, TimeoutError when the work of a job does not end.
        """
        self._state.clock.advance(seconds)
        self._state.await_work()

    def finish(self, name: str = "") -> None:
        """Let the time of one job (``batches/…``), or of all, be over, and wait for their work.

        Raises ValueError for a name that no job has, TimeoutError when the work of a job does not
        end.
        """
        jobs = [job for job in self._state.jobs() if name in {"", job.name}]
        if name and not jobs:
            raise ValueError(f"there is no job {name!r}: give the name of a batch, or none for all")
        for job in jobs:
            self._state.finish(job)
        self._state.await_work()

    def control(self, path: str) -> str:
        """Return the URL of a control route: ``control("journal")``."""
        return f"{self.base_url}/emulator/{path}"


class _Server(uvicorn.Server):
    """uvicorn that says when it is ready and stops at once: a test suite runs hundreds of these."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.ready.set()

    async def main_loop(self) -> None:
        """Until :meth:`stop`; the Date header is renewed every second."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._over.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        """Close every connection: who still waits for an answer gets none."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.close()
        if tasks := list(self.server_state.tasks):
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        await self.lifespan.shutdown()

    def stop(self) -> None:
        """End :meth:`main_loop`; from any thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._over.set)


@contextlib.contextmanager
def running(
    options: EmulatorOptions | None = None, clock: Clock | None = None
) -> Iterator[Emulator]:
    """Open an emulator on a free loopback port, its control routes on; stopped at the end.

    Without ``options`` it has the default ones, without ``clock`` the machine's. Raises
    TimeoutError when it does not listen within START_SECONDS, OSError without a free port.
    """
    chosen = replace(options or EmulatorOptions(), control=True)
    app = create_app(chosen, clock)
    with contextlib.closing(listen("127.0.0.1", 0)) as listener:
        server = _Server(make_server(app, "127.0.0.1", 0).config)
        thread = threading.Thread(
            target=server.run,
            kwargs={"sockets": [listener]},
            name="emulator",
            daemon=True,
        )
        thread.start()
        try:
            if not server.ready.wait(START_SECONDS):
                raise TimeoutError("the emulator did not start")
            host, port = listener.getsockname()[:2]
            yield Emulator(f"http://{host}:{port}", app.state.emulator)
        finally:
            server.stop()
            thread.join()
