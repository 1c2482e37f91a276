"""The server that the contract is asked of: one given by its URL, or one of ours.

CONTRACT_BASE_URL, CONTRACT_API_KEY and CONTRACT_MODEL name another one.
"""

import os
from collections.abc import Iterator

import pytest

from gateway.emulator.testing import EmulatorOptions, running
from tests.contract.wire import Wire
from tests.e2e.harness import serving

GIVEN = {
    name: os.environ.get(f"CONTRACT_{name}", "")  # noqa: TID251 - a server that is not ours
    for name in ("BASE_URL", "API_KEY", "MODEL")
}


@pytest.fixture(scope="session")
def model() -> str:
    """A model that the server runs batches of."""
    return GIVEN["MODEL"] or "gemini-3.8-flash"


@pytest.fixture(scope="session")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A client of the server."""
    if GIVEN["BASE_URL"]:
        made = Wire(GIVEN["BASE_URL"], GIVEN["API_KEY"])
        yield made
        made.client.close()
        return
    with (
        running(EmulatorOptions(job_seconds=0.1)) as gemini,
        serving(tmp_path_factory.mktemp("contract"), gemini.base_url) as gateway,
    ):
        made = Wire(gateway.url, "any-key")
        yield made
        made.client.close()
