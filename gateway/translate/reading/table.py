"""Field tables: every field of a client's object is mapped, dropped or refused, and says why.

A :class:`Field` is one row: what its value may be, who reads it, and what becomes of it. A table
reads the members of an object by its rows and adds each row's name to what is refused below it, so
a check or a reader never knows its own path. A table knows the path of its object and registers
itself: the field tables of the room's README and the tests of completeness are made of TABLES.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Generic, NoReturn, TypeVar, overload

from gateway.translate.contract import Json
from gateway.translate.reading import refusal
from gateway.translate.reading.checks import Check, json_object
from gateway.translate.reading.notes import Noting
from gateway.translate.reading.own_values import Own

# What readers write into: a request under construction. Contravariant: a row that only checks its
# value has its place in every table.
Target_contra = TypeVar("Target_contra", bound=Noting, contravariant=True)
Reader = Callable[[Any, Target_contra], None]


class Placing(StrEnum):
    """Fate of a field: mapped, dropped or refused."""

    MAPPED = "mapped"
    DROPPED = "dropped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Field(Generic[Target_contra]):
    """One field: where it goes (``mapped``) or why it does not (``dropped``, ``refused``).

    ``check`` says what its value may be; a table checks an object. ``read`` gets the
    checked value and writes it into the request. The value is noted as lost unless it is one of
    ``usual``: None where nothing is to be noted.
    """

    name: str
    placing: Placing
    about: str
    check: Check | None = None
    read: Reader[Target_contra] | None = None
    required: bool = False
    usual: tuple[object, ...] | None = None
    # The member of Gemini's object; the same as ``name`` unless another is given.
    sent: str = ""
    # Which values lines may have of their own without being lines of another shape.
    own: Own | None = None


@overload
def mapped(
    name: str,
    about: str,
    check: Check | None = None,
    *,
    required: bool = False,
    usual: tuple[object, ...] | None = None,
) -> Field[Noting]: ...
@overload
def mapped(
    name: str,
    about: str,
    check: Check | None = None,
    read: Reader[Target_contra] = ...,
    *,
    required: bool = False,
) -> Field[Target_contra]: ...
def mapped(
    name: str,
    about: str,
    check: Check | None = None,
    read: Reader[Any] | None = None,
    *,
    required: bool = False,
    usual: tuple[object, ...] | None = None,
) -> Field[Any]:
    """Declare a field with a place in the request; without a check, its mapper reads it."""
    return Field(name, Placing.MAPPED, about, check, read, required, usual)


@overload
def dropped(name: str, about: str, check: Check | None = None) -> Field[Noting]: ...
@overload
def dropped(
    name: str, about: str, check: Check, read: Reader[Target_contra]
) -> Field[Target_contra]: ...
def dropped(
    name: str, about: str, check: Check | None = None, read: Reader[Any] | None = None
) -> Field[Any]:
    """Declare a field that does not touch the answer; its reader notes it where users care."""
    return Field(name, Placing.DROPPED, about, check, read)


def noted(name: str, about: str, check: Check, *usual: object) -> Field[Noting]:
    """Declare a field without an equivalent at Gemini: noted unless its value is a usual one."""
    return Field(name, Placing.DROPPED, about, check, usual=usual)


def refused(name: str, about: str) -> Field[Noting]:
    """Declare a field whose effect would be lost: the line becomes a 400 that names it."""
    return Field(name, Placing.REFUSED, about)


def varying(row: Field[Target_contra], own: Own) -> Field[Target_contra]:
    """Return the row, of which lines may have such values of their own: they are only copied."""
    return replace(row, own=own)


class FieldTable(Generic[Target_contra]):
    """The rows of one object. A table is itself a check: ``list_of(SPEAKER)``."""

    def __init__(self, path: str, *rows: Field[Target_contra]) -> None:
        self.path: Final = path
        self.rows: Final = rows
        self.by_name: Final[Mapping[str, Field[Target_contra]]] = {row.name: row for row in rows}
        # In the order of the rows: messages list them, and are the same in every process.
        self.accepted: Final = {
            row.name: row for row in rows if row.placing is not Placing.REFUSED
        }.keys()
        # Rows whose value does not matter at all: a line is the same with and without them.
        self.unread: Final = frozenset(
            row.name
            for row in rows
            if row.placing is Placing.DROPPED
            and row.check is None
            and row.read is None
            and row.usual is None
        )
        self.own: Final = {row.name: row.own for row in rows if row.own is not None}
        # Rows whose value is looked at; an object's mapper reads the others.
        self._active: Final = [row for row in rows if row.check or row.read or row.required]
        TABLES.append(self)

    def __call__(self, value: object) -> Json:
        """Return the checked members of an object, under the names that Gemini has for them."""
        return self.build(value)

    def refuse(self, name: str) -> NoReturn:
        """Refuse a field that is known to be impossible, or that no row knows."""
        row = self.by_name.get(name)
        if row is None:
            refusal.unknown_parameter(refusal.shortened(name), self.accepted)
        refusal.unsupported_parameter(row.about, name)

    def kind(self, value: object, param: str = "type") -> str:
        """Read which row of a union an object is: its ``type``, of a kind that is not refused.

        ``param`` names the field that is complained of.
        """
        row = self.by_name.get(value) if type(value) is str else None
        if row is None:
            refusal.invalid_choice(value, self.accepted, param)
        if row.placing is Placing.REFUSED:
            refusal.unsupported_value(f"'{row.name}' is not supported. {row.about}", param)
        return row.name

    def check(self, value: object) -> Json:
        """Refuse the first member that is neither mapped nor dropped; null means absent."""
        owner = json_object(value)
        for name in owner:
            if name not in self.accepted and (owner[name] is not None or name not in self.by_name):
                self.refuse(name)
        return owner

    def read(self, value: object, target: Target_contra, where: str = "") -> None:
        """Read every member by its row into ``target``; null means absent.

        ``where`` is the path of the object in notes.
        """
        for name, member in json_object(value).items():
            if name not in self.accepted:
                # A name that no row knows is a mistake even where its value is null.
                if member is not None or name not in self.by_name:
                    self.refuse(name)
            elif member is not None:
                _read(self.by_name[name], member, f"{where}.{name}" if where else name, target)

    def build(self, value: object, where: str = "", target: Target_contra | None = None) -> Json:
        """Return the checked members of an object; ``where`` is its path in notes to ``target``.

        Errors: Refused.
        """
        owner = self.check(value)
        built: Json = {}
        for row in self._active:
            member = owner.get(row.name)
            if member is not None:
                built[row.sent or row.name] = _read(row, member, f"{where}.{row.name}", target)
            elif row.required:
                refusal.missing(row.name)
        return built


# Every table there is, by import of the endpoints.
TABLES: Final[list[FieldTable[Any]]] = []


def _read(
    row: Field[Target_contra], value: object, where: str, target: Target_contra | None
) -> Any:  # noqa: ANN401
    """Check and read a value by its row."""
    try:
        if isinstance(row.check, FieldTable):
            value = row.check.build(value, where, target)
        elif row.check is not None:
            value = row.check(value)
        if target is not None:
            if row.usual is not None and value not in row.usual:
                target.note("dropped", where)
            if row.read is not None:
                row.read(value, target)
    except refusal.Refused as error:
        error.prefixed(row.name)
        raise
    return value


# Every message of Gemini's answers: its name, and what becomes of each of its fields.
ANSWER_TABLES: Final[dict[str, Mapping[str, str]]] = {}


def answer_table(message: str, fields: Mapping[str, str]) -> Mapping[str, str]:
    """Register what becomes of each field of a message of Gemini's, by the message's name."""
    ANSWER_TABLES[message] = fields
    return fields
