"""Projects: each key's own jobs, files, caches and webhooks, with limits of its own.

A key is a project of its name unless the options say to which project it belongs; nothing of one
project is seen from another, and a foreign file looks as one that is gone.
"""

from pathlib import Path

from gateway.emulator.faults.book import FaultBook
from gateway.emulator.jobs.job import Jobs
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.protocol.clock import EmulatorClock
from gateway.emulator.protocol.errors import file_gone
from gateway.emulator.resources.caches import Cache, Caches
from gateway.emulator.resources.files import Files
from gateway.emulator.resources.ledger import Charge, Spending
from gateway.emulator.resources.project_resources import ProjectResources
from gateway.emulator.resources.webhooks import Webhooks


class Project(ProjectResources):
    """The resources of one project, and all that its requests may refer to."""

    def __init__(
        self, name: str, options: EmulatorOptions, clock: EmulatorClock, directory: Path
    ) -> None:
        super().__init__()
        self.name = name
        self._clock = clock
        self.files = Files(options, clock, directory)
        self.caches = Caches()
        self.webhooks = Webhooks(clock)
        self.jobs = Jobs()
        self.spending = Spending()
        self.charges: list[Charge] = []
        """Of its synchronous calls, when a ledger is kept."""
        self.flex_calls = 0
        """Flex calls under way."""
        self.faults = FaultBook(seed=options.seed, now_ns=clock.now_ns)
        """What prompts of this project armed for later calls."""

    def new_book(self) -> FaultBook:
        """Faults of the calls about one of its jobs; none yet."""
        return FaultBook(now_ns=self._clock.now_ns)

    def use_file(self, file_id: str) -> None:
        """Use a file named in a request; raises ApiError 403 or 400. From any thread."""
        self.files.usable(file_id)

    def use_registered(self, uri: str) -> None:
        """Use a registered object; raises ApiError 403."""
        if not self.files.is_registered(uri):
            raise file_gone(uri)

    def cache(self, name: str) -> Cache:
        """Return a living cache; raises ApiError 403. From any thread."""
        return self.caches.get(name, self._clock.now_ns())
