"""Written JSON with holes: how lines of one shape are written without building them again.

A template is made from the request that was written for stand-ins: the mapping is written once.
Filling one costs a third of building and writing the same objects (measured on 300-byte lines).
"""

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final

import orjson

# Written JSON, or what is between.
Piece = bytes | memoryview

# What every stand-in has when it is written, however often it was written as a text of a text.
MARK: Final = b"u001a"


def stand_in(number: int) -> str:
    """Make a text that neither clients nor mappings write: it marks a hole of a template."""
    return f"\x1a{number}\x1a"


class StandIns:
    """Stand-ins of one conversation's values, and how each is found in what is written."""

    def __init__(self) -> None:
        # As they are written, in the order of the values.
        self.holes: list[bytes] = []
        # The number of each, as often as it is written.
        self.places: list[int] = []

    def text(self, times: int = 1) -> str:
        """Stand in for a text that is written so many times."""
        made = stand_in(len(self.holes))
        self._found_as(orjson.dumps(made), times)
        return made

    def json(self) -> str:
        """Stand in for the text of a JSON object, which is written as the object."""
        made = orjson.dumps({stand_in(len(self.holes)): ""})
        self._found_as(made, 1)
        return made.decode()

    def base64(self) -> str:
        """Stand in for data: its hole is without the quotation mark in front."""
        made = f"STANDIN{len(self.holes):05d}"
        self._found_as(orjson.dumps(made)[1:], 1)
        return made

    def _found_as(self, hole: bytes, times: int) -> None:
        self.places += [len(self.holes)] * times
        self.holes.append(hole)


def template_of(written: bytes, holes: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    r"""Make a format for ``%``: each hole's text, in this order, replaced by its conversion.

    ``b'{"a":"\\u001a0\\u001a","n":7}'`` with ``[(b'"\\u001a0\\u001a"', b"%b")]`` ->
    ``b'{"a":%b,"n":7}'``. None when a text is not there exactly once and in this order.
    """
    done = b""
    rest = written
    for text, conversion in holes:
        before, found, rest = rest.partition(text)
        if not found or text in rest:
            return None
        done += before.replace(b"%", b"%%") + conversion
    return done + rest.replace(b"%", b"%%")


def hole(number: int) -> tuple[bytes, bytes]:
    """Name the hole that :func:`stand_in` leaves, to be filled with written JSON."""
    return orjson.dumps(stand_in(number)), b"%b"


class Form:
    """Written JSON with holes anywhere, filled in any order.

    ``order`` has the number of the value for each hole, as they come. ``plain`` says that it is the
    order of the values themselves: then ``format % values`` is the JSON, too, and of few short
    values in two thirds of the time. ``b"".join(arrange(pieces + values))`` is :meth:`fill`, for
    where every call counts.
    """

    __slots__ = ("arrange", "format", "order", "pieces", "plain")

    def __init__(self, written: bytes, holes: Sequence[bytes]) -> None:
        """Find every place of each hole's text; a number is one where it is a whole value."""
        # Of holes that are written alike the first counts.
        numbers = {text: number for number, text in reversed([*enumerate(holes)])}
        self.order: list[int] = []
        pieces: tuple[bytes, ...] = ()
        end = 0
        for match in _any_of(holes).finditer(written) if holes else ():
            self.order.append(numbers[match[0]])
            pieces += (written[end : match.start()],)
            end = match.end()
        pieces += (written[end:],)
        self.format = b"%b".join([piece.replace(b"%", b"%%") for piece in pieces])
        self.plain = self.order == list(range(len(holes)))
        self.pieces = pieces
        # Pieces and values as they follow each other; without a value the one piece.
        places = [0]
        for number, at in enumerate(self.order, 1):
            places += [len(pieces) + at, number]
        self.arrange: Callable[[tuple[Piece, ...]], tuple[Piece, ...]] = (
            itemgetter(*places) if self.order else itemgetter(slice(0, 1))
        )

    def fill(self, values: tuple[Piece, ...]) -> bytes:
        """Return the JSON with these values, which are written JSON themselves."""
        return b"".join(self.arrange(self.pieces + values))


def _any_of(holes: Sequence[bytes]) -> re.Pattern[bytes]:
    ends = rb"(?<=:)%b(?=[,}])"
    return re.compile(
        b"|".join(
            re.escape(text) if text.endswith((b'"', b"}")) else ends % re.escape(text)
            for text in holes
        )
    )
