"""Every request field stands in exactly one place: mapped, dropped or refused.

A :class:`Field` is one row of that table. What hot loops need (name -> reader) is derived from
the rows once; README's fidelity table and the completeness tests read the same rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn

from gateway.translate.reading.refusal import (
    Refused,
    invalid_choice,
    unknown_parameter,
    unsupported_parameter,
    unsupported_value,
)
from gateway.translate.request.builder import RequestBuilder

Reader = Callable[[Any, RequestBuilder], None]


class Placing(StrEnum):
    """What becomes of a field."""

    MAPPED = "mapped"
    DROPPED = "dropped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: where it goes (``mapped``) or why it does not (``dropped``, ``refused``)."""

    name: str
    placing: Placing
    about: str
    read: Reader | None = None


def mapped(name: str, about: str, read: Reader | None = None) -> Field:
    """A field with a place in the request; without a reader, its object's mapper reads it."""
    return Field(name, Placing.MAPPED, about, read)


def dropped(name: str, about: str, read: Reader | None = None) -> Field:
    """A field that does not touch the answer; a reader leaves a note where somebody may care."""
    return Field(name, Placing.DROPPED, about, read)


def refused(name: str, about: str) -> Field:
    """A field whose effect would be lost: the line becomes a 400 that names it."""
    return Field(name, Placing.REFUSED, about)


class FieldTable:
    """The rows of one object and what is derived from them."""

    def __init__(self, *rows: Field) -> None:
        self.rows: Final = rows
        self.by_name: Final[Mapping[str, Field]] = {row.name: row for row in rows}
        # Every accepted field; None where there is nothing to read, or where the mapper of the
        # object reads it.
        self.readers: Final[dict[str, Reader | None]] = {
            row.name: row.read for row in rows if row.placing is not Placing.REFUSED
        }
        # In the order of the rows: messages list them, and are the same in every process.
        self.accepted: Final = self.readers.keys()

    def refuse(self, name: str) -> NoReturn:
        """Refuse a field that is known to be impossible, or that nobody knows."""
        row = self.by_name.get(name)
        if row is None:
            unknown_parameter(name)
        unsupported_parameter(row.about, name)

    def kind(self, value: object, param: str = "type") -> str:
        """Read which row of a union an object is: its ``type``, of a kind that is not refused.

        ``param`` names the field that is complained of.
        """
        row = self.by_name.get(value) if type(value) is str else None
        if row is None:
            invalid_choice(value, self.accepted, param)
        if row.placing is Placing.REFUSED:
            unsupported_value(f"'{row.name}' is not supported. {row.about}", param)
        return row.name

    def read(self, value: Mapping[str, Any], builder: RequestBuilder) -> None:
        """Read every member by its row; null means absent."""
        for name, member in value.items():
            if name in self.readers:
                read = self.readers[name]
                if read is not None and member is not None:
                    read(member, builder)
            elif member is not None or name not in self.by_name:
                # A name that nobody knows is a mistake either way.
                self.refuse(name)

    def check(self, value: Mapping[str, Any], owner: str = "") -> None:
        """Refuse the first member that is neither mapped nor dropped; null means absent.

        ``owner`` names the object when the caller does not add its own step to the path.
        """
        for name in value:
            if name not in self.readers and (value[name] is not None or name not in self.by_name):
                try:
                    self.refuse(name)
                except Refused as refusal:
                    if owner:
                        refusal.prefixed(owner)
                    raise
