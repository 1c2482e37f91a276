"""Project resources: the files and caches that a request may use."""

from dataclasses import dataclass, field

from gateway.emulator.faults.markers import Seen
from gateway.emulator.protocol.errors import cache_gone, file_gone
from gateway.emulator.resources.caches import Cache


@dataclass
class ProjectResources:
    """No file and no cache: a base class for projects; ``seen`` counts marked prompts."""

    seen: Seen = field(default_factory=Seen)

    def use_file(self, file_id: str) -> None:
        """Raise ApiError 403 for a file that is gone or foreign, 400 for one that is not ACTIVE."""
        raise file_gone(file_id)

    def use_registered(self, uri: str) -> None:
        """Raise ApiError 403 for a ``gs://`` object that is not registered."""
        raise file_gone(uri)

    def cache(self, name: str) -> Cache:  # noqa: ARG002 - a project uses it
        """Return a living cache by its name; raises ApiError 403."""
        raise cache_gone()
