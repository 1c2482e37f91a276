"""Names looked up by the system's resolver, in threads of their own.

A look-up cannot be given up: one whose servers do not answer keeps its thread for half a minute.
Such a name has one thread, whoever waits for it, and none of those that the rest of the process
works with; they end with the process.
"""

import asyncio
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

Answer = asyncio.Future[Sequence[str]]


class Resolver:
    """The addresses of a name; callers that ask at the same time share one look-up."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, int], Answer] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Give every address. Errors: OSError of a name that is not found."""
        name = (host, port)
        if name not in self._asked:
            answer: Answer = asyncio.get_running_loop().create_future()
            answer.add_done_callback(lambda done: self._forget(name, done))
            self._asked[name] = answer
            threading.Thread(
                target=_look_up, args=(host, port, answer), name="webhook-name", daemon=True
            ).start()
        return await asyncio.shield(self._asked[name])

    def _forget(self, name: tuple[str, int], done: Answer) -> None:
        """Let the next caller ask anew; an error that all have stopped waiting for is read here."""
        del self._asked[name]
        done.exception()


def _look_up(host: str, port: int, answer: Answer) -> None:
    found: Sequence[str] = ()
    error: Exception | None = None
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found = list(dict.fromkeys(str(address[0]) for *_, address in rows))
    except (OSError, UnicodeError) as failure:
        error = failure
    with suppress(RuntimeError):  # the loop is closed: whoever waited is gone too
        answer.get_loop().call_soon_threadsafe(_settle, answer, found, error)


def _settle(answer: Answer, found: Sequence[str], error: Exception | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(found)
    else:
        answer.set_exception(error)
