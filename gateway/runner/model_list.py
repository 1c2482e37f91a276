"""The list of models that the upstream offers, shared by validation and ``/v1/models``."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from gateway.batches.planning import BATCH_METHODS
from gateway.errors import UpstreamError, UpstreamHeldError, UpstreamUnavailableError
from gateway.ports.upstream import Model
from gateway.runner.context import StepContext

logger = logging.getLogger(__name__)

GOOD_FOR: Final = 600_000  # ms for which a list is taken as it is
# A list that fails or hangs is not asked for again at once: it is a nicety, and batches wait.
FAILED_FOR: Final = 120_000
MAX_LOOKUPS: Final = 20  # models of one batch that the list lacks and that are asked for by name
# The list, with all its pages and attempts, and all looks for one batch: then it goes on without.
LONGEST_ASK: Final = 10.0  # seconds
TOO_LONG: Final = f"the upstream has not answered within {LONGEST_ASK:.0f} s"
_ANY: Final = tuple(sorted(BATCH_METHODS))

# Lists that are remembered: with clients' own keys each owner has its own.
MAX_LISTS: Final = 1000


class ModelList:
    """The models of each owner; one list for all where the gateway's own keys are used."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._lists: dict[str, _Listed] = {}

    def _of(self, owner: str) -> "_Listed":
        name = owner if self._context.options.pass_through else ""
        listed = self._lists.pop(name, None) or _Listed(self._context, name)
        self._lists[name] = listed  # the one that was used last is last
        while len(self._lists) > MAX_LISTS:
            del self._lists[next(iter(self._lists))]
        return listed

    async def get(self, owner: str) -> Mapping[str, Sequence[str]] | None:
        """Return the methods of each model; None when the upstream has never listed any."""
        return (await self._of(owner).refreshed()).methods

    async def offered(self, owner: str) -> Sequence[Model]:
        """Return the models. Errors: why the upstream could not list them, if it never has."""
        listed = await self._of(owner).refreshed()
        if listed.models is None:
            raise listed.error or UpstreamError("The upstream has not listed its models.")
        return listed.models

    async def look_up(self, names: Sequence[str], owner: str) -> Mapping[str, Sequence[str]]:
        """Return those of the models that exist though the list lacks them, or may: their methods.

        One wrong list failed every batch of ten minutes. What cannot be asked in time counts as
        there: the create of its job says more.
        """
        credential = self._context.options.credential_for(owner)
        asked: dict[str, Sequence[str]] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_ASK):
                for name in names[:MAX_LOOKUPS]:
                    asked[name] = await self._methods(name, credential)
        for name in names[:MAX_LOOKUPS]:
            if name not in asked:
                logger.warning("model %s is not checked: %s", name, TOO_LONG)
        found = {name: asked.get(name, _ANY) for name in names[:MAX_LOOKUPS]}
        return {name: methods for name, methods in found.items() if methods}

    async def _methods(self, name: str, credential: str) -> Sequence[str]:
        """Return the methods of one model; none if it does not exist."""
        try:
            model = await self._context.upstream.model(name, credential)
        except UpstreamError as error:
            logger.warning("model %s is not checked: %s", name, error.message)
            return _ANY
        return () if model is None else sorted(model.methods)


class _Listed:
    """A list of models, asked for by one call at a time; one that worked is kept."""

    def __init__(self, context: StepContext, owner: str) -> None:
        self.models: Sequence[Model] | None = None
        self.methods: Mapping[str, Sequence[str]] | None = None
        self.error: UpstreamError | None = None
        self._context = context
        self._owner = owner
        self._asking = asyncio.Lock()
        self._asked_at: int | None = None

    async def refreshed(self) -> "_Listed":
        """Ask when the list is old; itself. Who comes meanwhile has the one that there was."""
        if self._asking.locked() and self.models is not None:
            return self
        async with self._asking:
            now = self._context.clock.now()
            life = GOOD_FOR if self.error is None else FAILED_FOR
            if self._asked_at is not None and 0 <= now - self._asked_at < life:
                return self
            try:
                self.models = await self._ask_in_time()
                self.methods = {model.id: sorted(model.methods) for model in self.models}
                self.error = None
            except UpstreamError as error:
                # A model that does not exist then fails when its job is created, line by line.
                logger.warning("the upstream cannot list its models: %s", error.message)
                self.error = error
            self._asked_at = self._context.clock.now()
            return self

    async def _ask_in_time(self) -> Sequence[Model]:
        """Ask for the list. Errors: UpstreamError, also of one that hangs, or drips."""
        try:
            async with asyncio.timeout(LONGEST_ASK):
                return await self._ask()
        except TimeoutError as error:
            raise UpstreamUnavailableError(TOO_LONG) from error

    async def _ask(self) -> Sequence[Model]:
        """Ask with one credential after the other until a key works. Errors: the last refusal."""
        refusal: UpstreamError | None = None
        for credential in self._context.options.credentials_for(self._owner):
            try:
                return await self._context.upstream.models(credential)
            except UpstreamHeldError as error:
                refusal = error
        raise refusal or UpstreamError("There is no key for the upstream.")
