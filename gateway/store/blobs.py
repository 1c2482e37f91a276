"""Transactions over the rows of blobs: names, states, and the bytes of small ones."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import orjson

from gateway.errors import InternalError
from gateway.ports.store import BlobChange, Seal
from gateway.store.session import Session

NO_SEALS: Final[Mapping[str, Seal]] = MappingProxyType({})


async def register(session: Session, name: str, now: int, seal: Seal | None = None) -> None:
    """Register a name as pending, with its bytes where the seal brings them."""
    size, digest = _columns(seal)
    values = {"name": name, "now": now, "bytes": size, "sha256": digest}
    await session.run("register_blob", values)
    if seal is not None and seal.content is not None:
        await session.run("put_content", {"name": name, "content": seal.content})


def _columns(seal: Seal | None) -> tuple[int | None, str | None]:
    return (None, None) if seal is None else (seal.bytes, seal.sha256)


async def register_all(session: Session, seals: Mapping[str, Seal | None], now: int) -> None:
    """Register names, with the seals of those whose bytes exist."""
    for name, its_seal in seals.items():
        await register(session, name, now, its_seal)


async def register_contents(session: Session, seals: Mapping[str, Seal], now: int) -> None:
    """Register those whose seals bring their bytes, before anything of a transaction needs them."""
    for name, its_seal in seals.items():
        if its_seal.content is not None:
            await register(session, name, now, its_seal)


async def content_of(session: Session, name: str) -> bytes | None:
    """Return the bytes of a blob that has them in its row."""
    row = await session.one("blob_content", {"name": name})
    return None if row is None else bytes(row["content"])


async def seal_of(session: Session, name: str) -> Seal | None:
    """Return what a blob's bytes must be."""
    row = await session.one("blob_seal", {"name": name})
    if row is None or row["sha256"] is None:
        return None
    return Seal(row["bytes"], row["sha256"])


async def activate(
    session: Session, names: Iterable[str], seals: Mapping[str, Seal] = NO_SEALS
) -> None:
    """Make pending names live: pointing at anything else would point at bytes that may go."""
    for name in names:
        size, digest = _columns(seals.get(name))
        values = {"name": name, "bytes": size, "sha256": digest}
        if await session.run("activate_blob", values) == 0:
            raise InternalError(f"blob {name} is not pending, so nothing may point at it")


async def take(session: Session, name: str, its_seal: Seal, now: int) -> None:
    """Make a blob live that a row points at, sealed, and with its bytes where the seal has them."""
    await register_contents(session, {name: its_seal}, now)
    await activate(session, [name], {name: its_seal})


async def seal(session: Session, name: str, seal: Seal) -> None:
    """Note what the bytes of a blob are."""
    await session.run("seal_blob", {"name": name, "bytes": seal.bytes, "sha256": seal.sha256})


async def mark_deletable(session: Session, names: Iterable[str], now: int) -> None:
    """Let the sweeper take these; those marked before keep their time."""
    for name in names:
        await session.run("mark_deletable", {"name": name, "now": now})


async def change(session: Session, blobs: BlobChange, now: int) -> None:
    """Apply a transaction's changes of blobs."""
    await activate(session, blobs.live, blobs.seals)
    for name in blobs.seals.keys() - set(blobs.live):  # of files, which go live by themselves
        if blobs.seals[name].content is None:
            await seal(session, name, blobs.seals[name])
    await mark_deletable(session, blobs.deletable, now)


async def sweepable(
    session: Session, before: int, pending_before: int, limit: int
) -> Sequence[str]:
    """Give up what was pending for too long, then name what may be swept.

    In this order no transaction can point at a name that the sweeper is about to remove.
    """
    await session.run("mark_pending_deletable", {"before": pending_before})
    rows = await session.all("deletable_blobs", {"before": before, "limit": limit})
    return [row["name"] for row in rows]


async def forget(session: Session, names: Iterable[str]) -> None:
    """Drop rows; a live one stays."""
    for name in names:
        await session.run("forget_blob", {"name": name})


async def known(session: Session, names: Sequence[str]) -> set[str]:
    """Return those that have a row."""
    rows = await session.all("known_blobs", {"names": orjson.dumps(list(names)).decode()})
    return {row["name"] for row in rows}


async def recover(session: Session) -> None:
    """Mark what was being written when the last process ended: it will never be finished."""
    await session.run("recover_blobs")
