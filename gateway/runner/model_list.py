"""The list of models that the upstream offers, shared by validation and ``/v1/models``."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.batches.planning import BATCH_METHODS
from gateway.errors import UpstreamError, UpstreamHeldError
from gateway.ports.upstream import Model
from gateway.runner.context import StepContext

logger = logging.getLogger(__name__)

GOOD_FOR: Final = 600_000  # ms for which a list is taken as it is
# A list that fails or hangs is not asked for again at once: it is a nicety, and batches wait.
FAILED_FOR: Final = 120_000
MAX_LOOKUPS: Final = 20  # models of one batch that the list lacks and that are asked for by name


class ModelList:
    """One call at a time, whoever asks; a list that worked is better than none."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._asking = asyncio.Lock()
        self._models: Sequence[Model] | None = None
        self._error: UpstreamError | None = None
        self._asked_at: int | None = None

    async def get(self) -> Mapping[str, Sequence[str]] | None:
        """Model id to its methods; None when the upstream has never listed any."""
        await self._refresh()
        if self._models is None:
            return None
        return {model.id: sorted(model.methods) for model in self._models}

    async def offered(self) -> Sequence[Model]:
        """Return the models. Errors: why the upstream could not list them, if it never has."""
        await self._refresh()
        if self._models is None:
            raise self._error or UpstreamError("The upstream has not listed its models.")
        return self._models

    async def _refresh(self) -> None:
        async with self._asking:
            now = self._context.clock.now()
            life = GOOD_FOR if self._error is None else FAILED_FOR
            if self._asked_at is not None and 0 <= now - self._asked_at < life:
                return
            try:
                self._models = await self._ask()
                self._error = None
            except UpstreamError as error:
                # A model that does not exist then fails when its job is created, line by line.
                logger.warning("the upstream cannot list its models: %s", error.message)
                self._error = error
            self._asked_at = self._context.clock.now()

    async def _ask(self) -> Sequence[Model]:
        """Ask with one credential after the other until a key works. Errors: the last refusal."""
        refusal: UpstreamError | None = None
        for credential in list(self._context.options.credentials):
            try:
                return await self._context.upstream.models(credential)
            except UpstreamHeldError as error:
                refusal = error
        raise refusal or UpstreamError("There is no key for the upstream.")

    async def look_up(self, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Those of the models that exist though the list lacks them, or may, by their methods.

        One wrong list failed every batch of ten minutes.
        """
        found = {}
        for name in names[:MAX_LOOKUPS]:
            try:
                model = await self._context.upstream.model(name, self._context.options.credential)
            except UpstreamError as error:
                logger.warning("model %s is not checked: %s", name, error.message)
                found[name] = sorted(BATCH_METHODS)
                continue
            if model is not None:
                found[name] = sorted(model.methods)
        return found
