"""Moves a stopped gateway to another place: its records, its bytes, the batches under way.

The order is what makes it safe to be killed at any moment and run again:

1. The lock of the data directory is taken: no gateway runs there.
2. Bytes are copied, each compared with its source by SHA-256. A copy that is there already is
   compared too, and made again when it differs.
3. The directory is marked: from here on no gateway starts there.
4. Records are copied in one transaction, compared before it is committed.
5. The mark says that it is done. The directory stays as it was, as a back-up.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.blobs.local import LocalBlobs
from gateway.blobs.opening import FOLDER, bucket_of
from gateway.clock import Clock
from gateway.errors import SettingsError
from gateway.extras import import_extra
from gateway.ports.blobs import Blobs
from gateway.store.moved import read_mark, write_mark
from gateway.store.moving import Source, SQLiteTarget, Target, carry, held_by
from gateway.store.opening import DATABASE
from gateway.units import counted

AT_ONCE: Final = 8  # blobs; most are small, and a bucket takes its time for each
SAID_EVERY: Final = 1000


@dataclass(frozen=True, slots=True)
class Move:
    """From a data directory to a database (a URL of PostgreSQL, or a directory) and a bucket."""

    directory: Path
    to: str
    blobs: str | None

    @property
    def place(self) -> str:
        """Where the records go, without a password."""
        if not self.scheme:
            return str(Path(self.to).absolute())
        # Parameters may hold a password as well.
        shown = self.to.removeprefix(f"{self.scheme}://").partition("?")[0]
        return f"{self.scheme}://{shown.rpartition('@')[2]}"

    @property
    def scheme(self) -> str:
        """The scheme of the database's URL; "" of a directory."""
        before, mark, _ = self.to.partition("://")
        return before if mark else ""


@dataclass(frozen=True, slots=True)
class Moved:
    """Totals of a move: blobs, their bytes, and rows by table; ``None`` rows: done before."""

    blobs: int
    bytes: int
    rows: Mapping[str, int] | None


class _DamagedError(Exception):
    """The bytes of a blob are not what they were."""


async def move(plan: Move, clock: Clock, say: Callable[[str], None]) -> Moved:
    """Carry everything over, or go on with that. Errors: SettingsError, UnavailableError."""
    _refuse_another(plan)
    source = Source(plan.directory / DATABASE)
    await source.open(clock.now())
    try:
        target = _target(plan)
        await target.open(clock.now())
        try:
            return await _carry_over(plan, source, target, say)
        finally:
            await target.close()
    finally:
        await source.close()


def _refuse_another(plan: Move) -> None:
    """One directory moves to one place."""
    mark = read_mark(plan.directory)
    if mark is not None and (mark["to"], mark["blobs"]) != (plan.place, plan.blobs):
        verb = "were moved" if mark["done"] else "are being moved"
        raise SettingsError(
            f"the records of {plan.directory} {verb} to {mark['to']}"
            f" (bytes: {mark['blobs'] or 'the same place'}), and nowhere else"
        )


def _target(plan: Move) -> Target:
    if plan.scheme in {"postgresql", "postgres"}:
        if plan.blobs is None:
            raise SettingsError("records in PostgreSQL need their bytes in a bucket: give --blobs")
        asker = "--to names a PostgreSQL database"
        postgres = import_extra("gateway.store.moving_postgres", "psycopg", "postgres", asker)
        made: Target = postgres.PostgresTarget(plan.to)
        return made
    if plan.scheme:
        raise SettingsError("--to is a URL that begins with postgresql://, or a directory")
    if Path(plan.to).absolute() == plan.directory.absolute():
        raise SettingsError("--to is the directory that is moved: name another one")
    return SQLiteTarget(Path(plan.to) / DATABASE)


async def _carry_over(
    plan: Move, source: Source, target: Target, say: Callable[[str], None]
) -> Moved:
    gateway_id = source.gateway_id()
    if gateway_id is None:
        raise SettingsError(f"no gateway was ever started in {plan.directory}: nothing to move")
    holder = await held_by(target)
    if holder == gateway_id:  # committed before; it may have gone on since
        write_mark(plan.directory, plan.place, plan.blobs, done=True)
        return Moved(0, 0, None)
    if holder is not None:
        raise SettingsError(
            f"{plan.place} holds the records of another gateway ({holder}): give an empty database"
        )
    count, size = await _carry_blobs(plan, source, gateway_id, say)
    write_mark(plan.directory, plan.place, plan.blobs, done=False)
    rows = await carry(source, target)
    write_mark(plan.directory, plan.place, plan.blobs, done=True)
    return Moved(count, size, rows)


async def _carry_blobs(
    plan: Move, source: Source, gateway_id: str, say: Callable[[str], None]
) -> tuple[int, int]:
    """Copy what records point at; how many, and their bytes."""
    folder = plan.directory / FOLDER
    if not folder.is_dir():
        there = kept = _bucket_that_stays(plan, source, gateway_id)
    else:
        kept = LocalBlobs(folder)
        # Not yet this gateway's: its records are still where they were.
        there = (
            bucket_of(plan.blobs, gateway_id, new=True)
            if plan.blobs
            else LocalBlobs(Path(plan.to) / FOLDER)
        )
    await there.open()
    return await _Carrier(source, kept, there, say).run()


def _bucket_that_stays(plan: Move, source: Source, gateway_id: str) -> Blobs:
    if plan.blobs is None:
        raise SettingsError("the bytes are in a bucket: name it (--blobs), they stay there")
    return bucket_of(plan.blobs, gateway_id, new=source.is_new())


class _Carrier:
    """Copies blobs, some at a time."""

    def __init__(
        self, source: Source, kept: Blobs, there: Blobs, say: Callable[[str], None]
    ) -> None:
        self._left: Iterator[tuple[str, str | None]] = source.live_blobs()
        self._kept = kept
        self._there = there
        self._say = say
        self._count = 0
        self._bytes = 0
        self._damaged = list(source.changed_contents())

    async def run(self) -> tuple[int, int]:
        """Copy all; how many, and their bytes. Errors: SettingsError when some are damaged."""
        workers = (self._work() for _ in range(AT_ONCE))
        for outcome in await asyncio.gather(*workers, return_exceptions=True):
            if outcome is not None:
                raise outcome
        if self._damaged:
            raise SettingsError(
                f"the bytes of {counted(len(self._damaged), 'blob')} are gone or have changed, the"
                f" first is {self._damaged[0]}: let the gateway run here until it has mended what"
                " it can, or restore them"
            )
        return self._count, self._bytes

    async def _work(self) -> None:
        try:
            while (blob := next(self._left, None)) is not None:
                await self._take(*blob)
        except BaseException:
            self._left = iter(())  # the others end with what they are at
            raise

    async def _take(self, name: str, sealed: str | None) -> None:
        try:
            self._bytes += await self._carry(name, sealed)
        except (FileNotFoundError, _DamagedError):
            self._damaged.append(name)
            return
        self._count += 1
        if self._count % SAID_EVERY == 0:
            self._say(f"{counted(self._count, 'blob')}, {counted(self._bytes, 'byte')}")

    async def _carry(self, name: str, sealed: str | None) -> int:
        digest, size = await _digest(self._kept, name)
        if sealed not in {None, digest}:
            raise _DamagedError(name)
        if self._there is self._kept or await self._is_there(name, digest):
            return size
        await self._there.delete(name)
        async with (
            aclosing(self._kept.read(name)) as blocks,
            self._there.create(name) as writer,
        ):
            async for block in blocks:
                await writer.write(block)
        if not await self._is_there(name, digest):
            raise SettingsError(f"blob {name} did not arrive as it was sent: nothing was moved")
        return size

    async def _is_there(self, name: str, digest: str) -> bool:
        try:
            found, _ = await _digest(self._there, name)
        except FileNotFoundError:
            return False
        return found == digest


async def _digest(blobs: Blobs, name: str) -> tuple[str, int]:
    """SHA-256 and size of a blob."""
    digest, size = hashlib.sha256(), 0
    async with aclosing(blobs.read(name)) as blocks:
        async for block in blocks:
            await asyncio.to_thread(digest.update, block)
            size += len(block)
    return digest.hexdigest(), size
