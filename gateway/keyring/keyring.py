"""The keyring: which clients' keys are at hand, and until when.

A key is in memory while a request of its owner is served. It is written down, sealed, when a batch
is created, and wiped once no batch, job or copied file of its owner needs it any more.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from gateway.clock import Clock
from gateway.errors import UnavailableError
from gateway.keyring.sealing import Seals, UnsealableError
from gateway.ports.store import Store

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
# A key is written down before the batch that needs it: that long it is kept without one.
GRACE_MS: Final = 60_000


@dataclass
class Keyring:
    """Keeps ``credentials``, owner to key, which the upstream looks each key up in."""

    seals: Seals
    store: Store
    clock: Clock
    credentials: MutableMapping[str, str]
    grace: int = GRACE_MS
    _lent: Counter[str] = field(init=False, default_factory=Counter)
    _kept: set[str] = field(init=False, default_factory=set)
    _unreadable: set[str] = field(init=False, default_factory=set)
    _changing: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    def owner_of(self, secret: str) -> str:
        """Name the owner of a key."""
        return self.seals.owner_of(secret)

    @contextmanager
    def lent(self, owner: str, secret: str) -> Iterator[None]:
        """Have the key at hand while a request of its owner is served."""
        self._lent[owner] += 1
        self.credentials[owner] = secret
        try:
            yield
        finally:
            self._lent[owner] -= 1
            self._drop(owner)

    async def keep(self, owner: str) -> None:
        """Write a key that is lent down, sealed, for the batch that is about to be created."""
        async with self._changing:
            sealed = self.seals.seal(owner, self.credentials[owner])
            await self.store.keep_client_key(owner, sealed, self.clock.now())
            self._kept.add(owner)

    async def run(self) -> None:
        """Take what is written down, and wipe what is not needed, for ever."""
        while True:
            try:
                await self.look()
            except (OSError, UnavailableError) as error:
                logger.warning("clients' keys cannot be looked after: %s", error)
            await self.clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Take keys that another process, or an earlier life of this one, wrote down; wipe."""
        async with self._changing:
            for owner in await self.store.wipe_client_keys(self.clock.now() - self.grace):
                self._kept.discard(owner)
                self._drop(owner)
            for owner, sealed in (await self.store.client_keys()).items():
                if owner not in self._kept:
                    self._take(owner, sealed)

    def _take(self, owner: str, sealed: str) -> None:
        try:
            secret = self.seals.unseal(owner, sealed)
        except UnsealableError:
            if owner not in self._unreadable:
                self._unreadable.add(owner)
                told = "the key of %s was sealed under another GATEWAY_ENCRYPTION_KEY: jobs wait"
                logger.error(told, owner)  # noqa: TRY400 - the message says all
            return
        self._kept.add(owner)
        self.credentials[owner] = secret

    def _drop(self, owner: str) -> None:
        if owner not in self._kept and not self._lent[owner]:
            del self._lent[owner]
            self.credentials.pop(owner, None)
