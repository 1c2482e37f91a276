"""Google's own objects inside ``google``: snake_case for clients, camelCase for the wire.

Each is a table of its members and how each is checked, so nothing is copied through: a member or
a value that Google's parser does not know would be a 400, perhaps of a whole job.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gateway.translate.reading.checks import Check
from gateway.translate.reading.notes import Noting
from gateway.translate.reading.table import Field, FieldTable, Placing

VERTEX_ONLY: Final = "Only Vertex AI knows it."
# An unknown name makes Google refuse a request, and perhaps the whole job with it.
UNPUBLISHED: Final = "Google's published schema of the API does not have it."


def camel(name: str) -> str:
    """``"time_range_filter"`` -> ``"timeRangeFilter"``."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


class GoogleObject(FieldTable[Noting]):
    """The members of one object, by their names on our side: ``{"start_time": "…"}``."""

    def __init__(
        self,
        path: str,
        checks: Mapping[str, Check],
        *refused_rows: Field[Noting],
        required: Sequence[str] = (),
    ) -> None:
        owner = camel(path.rpartition(".")[2])
        rows: Iterator[Field[Noting]] = (
            Field(
                name,
                Placing.MAPPED,
                f"`{owner}.{camel(name)}`",
                check,
                required=name in required,
                sent=camel(name),
            )
            for name, check in checks.items()
        )
        super().__init__(path, *rows, *refused_rows)
