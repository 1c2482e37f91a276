r"""Own values: what differs from line to line in bodies that are otherwise the same.

Many programs give each line its own ``seed`` or ``metadata``, or name a customer in the description
of a tool. Such values are copied to where they belong and change nothing else. They are taken out
of a body's written options, and stand-ins put in their places: what is left is the *shape* of the
options, which other lines share.

A value is taken only where it is certain that every other value would go the same way, whatever
the model: within the range that every model takes, a text that is not empty. Any other stays in
the shape, as a constant, and is read in the ordinary way.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from orjson import dumps, loads

from gateway.translate.contract import Json
from gateway.translate.template import MARK, stand_in

# Finds a line's own values in its written options, as groups.
Find = Callable[[bytes], re.Match[bytes] | None]

# The largest limit on tokens that is taken out: every known model writes so many.
LARGEST_LIMIT: Final = 8_192
STAND_IN_LIMIT: Final = 7_919
# One that budgets of thoughts take whole: those of all efforts but "minimal" are larger.
STAND_IN_LOW_LIMIT: Final = 509


# Of texts as they are written: any, and those that are not empty.
_ANY_TEXT: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TEXT: Final = rb'(?!"")' + _ANY_TEXT
_OBJECT_OF_TEXTS: Final = rb"\{(?:%b:%b,?)*+\}" % (_ANY_TEXT, _ANY_TEXT)


class Own:
    """A member that may differ: which of its values, and what is put in their place."""

    __slots__ = ("fits", "high", "hole", "kinds", "low", "marks", "pattern", "stand_in")

    def __init__(
        self,
        fits: Callable[[Any], bool],
        stand_in: object,
        pattern: bytes,
        *,
        kinds: tuple[type, ...] = (),
        low: float = 0,
        high: float = 0,
    ) -> None:
        # Of numbers the range says which fit, without the call: most values are numbers.
        self.fits = fits
        self.kinds = kinds
        self.low = low
        self.high = high
        self.stand_in = stand_in
        # Of written values: it may leave out some that fit, and has no other.
        self.pattern = pattern
        # As it is found in written JSON.
        self.hole = dumps(stand_in)
        self.marks = self.hole.count(MARK)


def _fits_none(_: object) -> bool:
    """Take nothing beyond the range."""
    return False


def own_number(high: int, number: float) -> Own:
    """Declare numbers from 0 to ``high``; ``number`` is one that no other member is likely to have.

    ``high`` has one digit.
    """
    pattern = rb"[0-%d](?:\.\d+)?|%d(?:\.0)?" % (high - 1, high)
    return Own(_fits_none, number, pattern, kinds=(float, int), high=high)


def own_integer(low: int, high: int, number: int) -> Own:
    """Declare integers of a range; ``8.0`` is written as another value than it is read as.

    ``low`` is 1 or less.
    """
    pattern = _up_to(high)
    if low < 1:
        pattern += rb"|0|-(?:%b)" % _up_to(-low)
    return Own(_fits_none, number, pattern, kinds=(int,), low=low, high=high)


def _up_to(most: int) -> bytes:
    r"""Make a pattern of the integers from 1: ``70`` -> ``[1-9]\d{0,0}+|[1-6]\d{1}|70``."""
    digits = str(most)
    fewer = len(digits) - 1
    forms = [rf"[1-9]\d{{0,{fewer - 1}}}+"] if fewer else []
    for at, digit in enumerate(digits):
        low = 0 if at else 1
        if int(digit) > low:
            forms.append(rf"{digits[:at]}[{low}-{int(digit) - 1}]\d{{{fewer - at}}}")
    return "|".join([*forms, digits]).encode()


def own_text(number: int) -> Own:
    """Declare texts that are not empty; ``number`` tells their stand-in from others."""
    return Own(lambda value: type(value) is str and value != "", stand_in(number), _TEXT)


def own_texts(number: int) -> Own:
    """Declare objects of texts: ``{"ticket": "7"}``."""

    def fits(value: object) -> bool:
        if type(value) is not dict:
            return False
        for member in value.values():  # noqa: SIM110 - all() of a generator takes twice as long
            if type(member) is not str:
                return False
        return True

    return Own(fits, {stand_in(number): ""}, _OBJECT_OF_TEXTS)


# Texts below the members of a body, from this number on.
_FIRST_TEXT: Final = 1_000
# A quotation mark inside a text has a backslash in front, so a name between two marks and a colon
# is a member's.
_DESCRIPTIONS: Final = re.compile(rb'("description":)(%b)' % _TEXT)
_DESCRIPTIONS_AND_ENUMS: Final = re.compile(
    rb'("(?:description":|enum":\[))((?<=:)%b|(?<=\[)%b(?:,%b)*(?=\]))' % (_TEXT, _TEXT, _TEXT)
)
# Keywords under which schemas are compared or merged, so that single values matter.
_COMPARED: Final = (b'"$ref"', b'"allOf"', b'"anyOf"', b'"oneOf"', b'"const"', b'"prefixItems"')
# Shapes of more bytes have no pattern: it would be compared byte by byte, and takes memory.
_LONGEST_PATTERN: Final = 512
_STEP: Final = 3  # text between, keyword, text
_TEXT_HOLE: Final = b'"\\u001a%d\\u001a"'
_TEXT_HOLES: Final = re.compile(rb'"\\u001a(1\d{3,})\\u001a"')
_END_OF_TEXT: Final = re.compile(_TEXT)
_END_OF_TEXTS: Final = re.compile(rb"%b(?:,%b)*(?=\])" % (_TEXT, _TEXT))
_ESCAPE: Final = ord("\\")
_QUOTE: Final = ord('"')


def take_own(rows: Mapping[str, Own], rest: Json) -> tuple[bytes, tuple[bytes, ...], list[str]]:
    """Split options into their shape and this line's values, written; ``rest`` gets stand-ins.

    ``{"seed": 7, "stop": "a"}`` -> ``{"seed":1073519867,"stop":"a"}``, ``7``, and ``seed``. There
    are more values than names where texts below the members were taken, too. Nothing is taken
    where a text of the client's looks like a stand-in: another value would be written in its place.
    """
    values, taken = take_members(rows, rest)
    return shape_of(rows, rest, values, taken, dumps(rest))


def take_members(rows: Mapping[str, Own], rest: Json) -> tuple[tuple[bytes, ...], list[str]]:
    """Put stand-ins into ``rest``: the values that they stand for, and which members had them."""
    taken: list[str] = []
    values: list[bytes] = []
    for name, value in rest.items():
        own = rows.get(name)
        if own is not None and (
            own.low <= value <= own.high if type(value) in own.kinds else own.fits(value)
        ):
            values.append(dumps(value))
            rest[name] = own.stand_in
            taken.append(name)
    return tuple(values), taken


def shape_of(
    rows: Mapping[str, Own],
    rest: Json,
    values: tuple[bytes, ...],
    taken: list[str],
    written: bytes,
) -> tuple[bytes, tuple[bytes, ...], list[str]]:
    """Go on with :func:`take_own` behind :func:`take_members`; ``written`` is ``rest``."""
    if written.count(MARK) != sum([rows[name].marks for name in taken]):
        put_back(rest, values, taken)
        return dumps(rest), (), []
    texts: list[bytes] = []
    return _take_texts(written, texts), (*values, *texts), taken


def put_back(rest: Json, values: Sequence[bytes], taken: Sequence[str]) -> None:
    """Replace stand-ins by the values that they stood for."""
    for name, value in zip(taken, values, strict=False):  # texts come behind the members
        rest[name] = loads(value)


def holes_of(
    rows: Mapping[str, Own], shape: bytes, taken: Sequence[str], count: int
) -> list[bytes] | None:
    """Return the holes of a shape for ``count`` values; None where something looks like a hole."""
    texts = [_TEXT_HOLE % (_FIRST_TEXT + number) for number in range(count - len(taken))]
    holes = [*(rows[name].hole for name in taken), *texts]
    marked = shape
    for hole in holes:
        # A text may be in several places, but no number that is not the stand-in itself.
        if not hole.startswith((b'"', b"{")) and shape.count(hole) != 1:
            return None
        marked = marked.replace(hole, b"")
    return None if MARK in marked else holes


def pattern_of(
    rows: Mapping[str, Own], shape: bytes, taken: Sequence[str]
) -> re.Pattern[bytes] | None:
    """Make a pattern of the written options of a shape; its groups are the values of ``taken``.

    It fits no options of another shape, and not all of this one: a value may be unusual. None for
    a long shape, which is compared faster without its values.
    """
    if len(shape) > _LONGEST_PATTERN:
        return None
    pattern = b""
    for name in taken:
        own = rows[name]
        before, _, shape = shape.partition(own.hole)
        pattern += re.escape(before) + b"(" + own.pattern + b")"
    return re.compile(pattern + re.escape(shape))


class Texts:
    """Where a shape has texts that are taken out: those of the next line need no search.

    To look for the keywords in 1 KB of tools takes 15 microseconds, to compare what is between the
    texts 3 (measured).
    """

    __slots__ = ("_first", "_numbers", "_picks", "_places", "alone", "size")

    def __init__(self, shape: bytes, texts: Sequence[bytes]) -> None:
        """Cut a shape at its holes; ``texts`` were taken out of it."""
        self._first, *cut = _TEXT_HOLES.split(shape)
        self._numbers = [int(number) - _FIRST_TEXT for number in cut[::2]]
        before = [self._first, *cut[1::2]]
        # A text that is as it was is compared together with what is behind it.
        self._places = [
            (texts[number] + behind, len(texts[number]), behind, ahead.endswith(b"["))
            for number, ahead, behind in zip(self._numbers, before, cut[1::2], strict=False)
        ]
        # Where each text is for the first time, unless no text is there twice.
        self._picks: list[int] | None = [self._numbers.index(at) for at in range(len(texts))]
        if self._picks == self._numbers:
            self._picks = None
        # The whole shape, where it has no texts.
        self.alone = None if self._places else self._first
        # Bytes in memory, about.
        self.size = 2 * len(shape) + sum(map(len, texts))

    def of(self, written: bytes) -> tuple[bytes, ...] | None:
        """Return the texts of written options; None if their shape is, or may be, another one."""
        if not self._places:
            return () if written == self.alone else None
        if not written.startswith(self._first):
            return None
        at = len(self._first)
        found = []
        for usual, length, behind, several in self._places:
            end = at + length
            if not written.startswith(usual, at):
                other = _end_of(written, at, several=several)
                if other is None or not written.startswith(behind, other):
                    return None
                end = other
            found.append(written[at:end])
            at = end + len(behind)
        return self._told_apart(found) if at == len(written) else None

    def _told_apart(self, found: list[bytes]) -> tuple[bytes, ...] | None:
        """Return each text once; None unless the same ones are equal as in the shape."""
        picks = self._picks
        texts = found if picks is None else [found[at] for at in picks]
        if len(set(texts)) != len(texts):
            return None
        if picks is not None and [texts[number] for number in self._numbers] != found:
            return None
        return tuple(texts)


def _end_of(written: bytes, start: int, *, several: bool) -> int | None:
    """Return where a text ends, or the ``several`` of an ``enum``; None if none does."""
    if several:
        match = _END_OF_TEXTS.match(written, start)
        if match is None or not _all_different(match[0]):
            return None
        end: int | None = match.end()
    else:
        end = written.find(b'"', start + 1) + 1
        if end == start + 2 or written[start] != _QUOTE:  # empty, or no text
            return None
        if written[end - 2] == _ESCAPE:  # the mark may be one inside of the text
            match = _END_OF_TEXT.match(written, start)
            end = match and match.end()
    text = written[start:end]
    return None if _ESCAPE in text and MARK in text else end


def _take_texts(shape: bytes, values: list[bytes]) -> bytes:
    """Take out descriptions, and texts of ``enum``; texts that are equal are one value.

    What is equal before is equal afterwards: schemas may be compared with each other. An ``enum``
    is one value as a whole, unless its texts may be looked at one by one.
    """
    enums = b'"enum":["' in shape
    if not enums and b'"description":"' not in shape:
        return shape
    plain = not enums or any(word in shape for word in _COMPARED)
    pieces = (_DESCRIPTIONS if plain else _DESCRIPTIONS_AND_ENUMS).split(shape)
    known: dict[bytes, bytes] = {}
    for place in range(2, len(pieces), _STEP):
        text = pieces[place]
        hole = known.get(text)
        if hole is None:
            if pieces[place - 1] == b'"enum":[' and not _all_different(text):
                continue
            known[text] = hole = _TEXT_HOLE % (_FIRST_TEXT + len(known))
            values.append(text)
        pieces[place] = hole
    return b"".join(pieces)


def _all_different(texts: bytes) -> bool:
    """Whether no text of an ``enum`` is there twice: a second one is left out."""
    read = loads(b"[" + texts + b"]")
    return len(set(read)) == len(read)
