"""``gateway serve`` that dies by SIGKILL before or after calls of its store, once at each point.

``python -m tests.e2e.dying FOLDER POINT …``: a point is ``before:METHOD`` or ``after:METHOD``; a
file of that name is made in the folder just before the death, and where it is there already the
process goes on.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

from gateway.app import Gateway
from gateway.cli.logs import set_up_logs
from gateway.settings.load import load
from gateway.store.records import Records

Method = Callable[..., Awaitable[Any]]
LISTENS = asyncio.Event()  # a test that starts it waits for that


def dying(method: Method, when: str, mark: Path) -> Method:
    """The method, which does not survive its first call."""

    def die() -> None:
        if LISTENS.is_set() and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    @wraps(method)
    async def called(*given: Any, **named: Any) -> Any:
        if when == "before":
            die()
        result = await method(*given, **named)
        if when == "after":
            die()
        return result

    return called


def announce(url: str) -> None:
    """Say where it listens; from now on it may die."""
    print(f"listening on {url}/v1", flush=True)
    LISTENS.set()


def main() -> None:
    """Serve; settings come from the environment."""
    folder, *points = sys.argv[1:]
    for point in points:
        when, _, name = point.partition(":")
        setattr(Records, name, dying(getattr(Records, name), when, Path(folder) / point))
    settings, _ = load()
    set_up_logs(settings.log_level, settings.log_format)
    asyncio.run(Gateway(settings).serve(announce))


if __name__ == "__main__":
    main()
