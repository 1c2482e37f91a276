"""Cached contents: counted, not kept (but for their tools); gone when their time is over."""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from gateway.emulator.protocol.clock import stamp
from gateway.emulator.protocol.errors import JsonObject, cache_gone

_NUMBERS: Final = itertools.count(1)


@dataclass
class Cache:
    """One cached content: what of it matters to the requests that rest on it."""

    name: str
    # ``models/...``.
    model: str
    display_name: str
    # By modality.
    tokens: Counter[str]
    created_ns: int
    updated_ns: int
    expires_ns: int
    # ``tools`` and ``toolConfig`` as they were given.
    tools: JsonObject = field(default_factory=dict)
    # Later caches have greater ones.
    number: int = field(default_factory=_NUMBERS.__next__)

    def wire(self) -> JsonObject:
        """Return the CachedContent resource; displayName is there even when empty."""
        return {
            "name": self.name,
            "model": self.model,
            "createTime": stamp(self.created_ns, 6),
            "updateTime": stamp(self.updated_ns, 6),
            "expireTime": stamp(self.expires_ns),
            "displayName": self.display_name,
            "usageMetadata": {"totalTokenCount": sum(self.tokens.values())},
        }


class Caches:
    """The cached contents of one project."""

    def __init__(self) -> None:
        self._caches: dict[str, Cache] = {}

    def add(self, cache: Cache) -> None:
        """Keep a cached content."""
        self._caches[cache.name] = cache

    def living(self, now_ns: int) -> list[Cache]:
        """Return caches whose time is not over."""
        return [cache for cache in self._caches.values() if now_ns < cache.expires_ns]

    def get(self, name: str, now_ns: int) -> Cache:
        """Return a living cache; raises ApiError 403, as for those of others."""
        cache = self._caches.get(name)
        if cache is None or now_ns >= cache.expires_ns:
            raise cache_gone()
        return cache

    def remove(self, cache: Cache) -> None:
        """Forget a cache."""
        del self._caches[cache.name]
