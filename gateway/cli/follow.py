"""A batch followed to its end: a progress bar on a terminal, a line for each change elsewhere."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from gateway.cli.output import printable
from gateway.cli.status import lines_of
from gateway.client.client import GatewayClient, NoAnswerError
from gateway.clock import SystemClock
from gateway.units import counted, duration

ENDED: Final = frozenset({"completed", "failed", "expired", "cancelled"})
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 15.0
# A batch takes hours, and a gateway is restarted meanwhile.
PATIENCE_MS: Final = 600_000

Json = Mapping[str, Any]


def follow(client: GatewayClient, batch: Json, console: Console) -> Json:
    """Poll until the batch has ended, and show how far it is; Ctrl-C interrupts the wait.

    Errors: ClientError, that of a gateway that is away only when it has been so for long.
    """
    clock, asleep = SystemClock(), threading.Event()
    heard = clock.now()
    shown = _Bar(console) if console.is_terminal else _Lines(console)
    with shown.open():
        for pause in _pauses():
            shown.show(batch, clock.now() // 1000)
            if batch["status"] in ENDED:
                break
            asleep.wait(pause)
            try:
                batch, heard = client.batch(batch["id"]), clock.now()
            except NoAnswerError:
                if clock.now() - heard > PATIENCE_MS:
                    raise
    return batch


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 1.5, LONGEST_PAUSE)


class _Lines:
    """For what is no terminal: a line whenever something has changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""

    def open(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def show(self, batch: Json, now: int) -> None:
        text = f"{batch['status']}, {lines_of(batch)}"
        waits = _waits(batch)
        text += f"; {waits}" if waits else ""
        if text != self._last:
            self._console.print(f"{duration(now - batch['created_at'])}: {text}", markup=False)
            self._last = text


class _Bar:
    """For a terminal: one bar with lines, tokens, dollars, the wait, and the time that is left."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[told]}", markup=False),  # it holds Google's own words
            console=console,
        )
        self._task = self._progress.add_task("", total=None, told="")

    def open(self) -> AbstractContextManager[Any]:
        return self._progress

    def show(self, batch: Json, now: int) -> None:
        counts = batch["request_counts"]
        self._progress.update(
            self._task,
            description=batch["status"],
            total=counts["total"] or None,
            completed=counts["completed"] + counts["failed"],
            told="  ".join(filter(None, _facts(batch, now))),
        )


def _facts(batch: Json, now: int) -> Iterator[str]:
    """Yield what is known; an upstream that is no gateway tells less."""
    more = batch.get("gateway") or {}
    yield lines_of(batch)
    tokens = (batch.get("usage") or {}).get("total_tokens")
    yield counted(tokens, "token") if tokens else ""
    cost = more.get("cost_usd")
    yield f"${cost:.4f}" if cost else ""
    eta = more.get("eta_seconds")
    yield f"about {duration(eta)} left" if eta is not None else ""
    yield duration(now - batch["created_at"])
    yield _waits(batch)


def _waits(batch: Json) -> str:
    why = (batch.get("gateway") or {}).get("waiting_for")
    return f"waits: {printable(why)}" if why else ""
