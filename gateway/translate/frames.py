"""Frames: the compiled options of lines that differ in values of their own alone.

Options are compiled once and remembered by their own bytes. Where lines have a ``seed`` or
``metadata`` of their own, that is of no use, so from the second line of a shape on
(:mod:`gateway.translate.reading.own_values`) the options of the shape are compiled with stand-ins,
and each line's values are written into what came out. A remembered value is a function of the bytes
alone, so it shows in the time that a line takes and never in what comes out.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, Final, Generic, Literal, NoReturn, Protocol, cast, overload

from orjson import dumps, loads

from gateway.translate.contract import Json, LineError, Policy, Translation
from gateway.translate.reading.own_values import (
    LARGEST_LIMIT,
    STAND_IN_LIMIT,
    STAND_IN_LOW_LIMIT,
    Find,
    Own,
    Texts,
    holes_of,
    pattern_of,
    put_back,
    shape_of,
    take_members,
    take_own,
)
from gateway.translate.reading.refusal import Refused
from gateway.translate.reading.table import FieldTable
from gateway.translate.reading.unknown_fields import retry_without_unknown
from gateway.translate.remembered import Remembered
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.compiled_options import (
    Build,
    CompiledOptions,
    Hints,
    Options,
    Values,
)
from gateway.translate.schemas.convert import written
from gateway.translate.template import MARK, Form
from gateway.units import MIB

# Options of more bytes than this are not cached.
_LARGEST_REMEMBERED: Final = 64 * 1024
# Bytes of all options that are remembered in a process; their templates are among them.
_ROOM: Final = 16 * MIB
# What options take in memory for each of their bytes, and at least (measured on parsed JSON).
_TIMES: Final = 10
_LEAST: Final = 4 * 1024
# What the pattern of a shape takes for each byte of the shape (measured: 17 to 22).
_PATTERN_TIMES: Final = 22

Place = tuple[Build[Any], bytes, str, Policy]
# Options; a line's own values and hints, where these are a frame's.
Compiled = tuple[Options, Values, Hints]
_options: Final[Remembered[Place, Compiled[Any]]] = Remembered(_ROOM)
# The first line of a shape is compiled as it is: many bodies come once. ``True``: one has come.
_frames: Final[Remembered[Place, "Frame | bool"]] = Remembered(_ROOM)


# What finds the values of a line, if a pattern does; the frame, and its policy and model.
_Found = tuple[Find | None, "Frame | None", Policy | None, str]
_NOTHING_FOUND: Final[_Found] = (None, None, None, "")

_NESTED: Final = (dict, list)

# So many lines in a row that are not remembered, and the next are looked for by their shape first.
_MISSES: Final = 8
# Frames that are found without a look into the cache: programs write few kinds of lines.
_MOST_FOUND: Final = 64


def forget() -> None:
    """Forget all that was compiled."""
    _options.cache_clear()
    _frames.cache_clear()


class Translator(Protocol):
    """An endpoint's ``to_gemini``.

    Where the line must be ``known``, it is translated by what was compiled for others and by
    ``fit`` alone, or not at all. Then it is nested no deeper than one of the others.
    """

    @overload
    def __call__(self, body: Json, policy: Policy, model: str) -> Translation | LineError: ...

    @overload
    def __call__(
        self, body: Json, policy: Policy, model: str, known: Literal[True]
    ) -> Translation | None: ...


# The first half of an endpoint's translation: None for what has to be read.
Fit = Callable[[Any, Any, Values, Hints], Translation | None]


def translates(  # noqa: C901 - in one step: a call takes a tenth of what a small line may
    field: str,
    table: FieldTable[RequestBuilder],
    build: Build[Options],
    others: tuple[str, ...] = (),
    fit: Fit | None = None,
) -> Callable[[Callable[..., Translation]], Translator]:
    """Make an endpoint's ``to_gemini`` of a function of its compiled options and of ``field``.

    The field holds what differs from line to line; ``build`` compiles all others. Those that the
    table does not read are left out before: a ``user`` of its own must not make a line a new one.
    Where ``others`` differ too, the function gets the values of all of them, in this order. Where
    the options are a frame's, it gets the line's own values and hints as well.
    """
    compiler = Compiler(table.own, build, table.unread)
    # What the line before said besides its conversation, and what that was compiled to. Lines of
    # one program mostly say the same, and to compare is a third of looking into the cache. One
    # object, for several threads translate: none may see the half of it.
    last: tuple[bytes, Policy | None, str, Any] = (b"", None, "", None)

    def decorate(  # noqa: C901 - as above
        translate: Callable[..., Translation],
    ) -> Translator:
        @wraps(translate)
        def to_gemini(  # noqa: C901 - as above
            body: Json,
            policy: Policy,
            model: str,
            known: bool = False,
        ) -> Translation | LineError | None:
            nonlocal last
            rest = body.copy()
            given = rest.pop(field, None)
            if others:
                given = (given, *[rest.pop(name, None) for name in others])
            try:
                key = b""
                if compiler.misses >= _MISSES:
                    compiled = compiler.by_shape(rest, model, policy, known)
                else:
                    if compiler.known:
                        try:
                            key = dumps(rest)
                        except TypeError:  # what no JSON writer writes is refused next
                            key = b""
                    last_key, last_policy, last_model, found = last
                    same = key == last_key and policy is last_policy and model == last_model
                    compiled = found if same else None
                if compiled is None:
                    if known:
                        return None
                    compiled = compiler.compile(rest, model, policy, key)
                    if key and compiler.known:
                        last = (key, policy, model, compiled)
                options, values, hints = compiled
                made = None if fit is None else fit(options, given, values, hints)
                if made is not None or known:
                    return made
                return (
                    translate(options, given, values, hints)
                    if values
                    else translate(options, given)
                )
            except Refused as refusal:
                if known:  # it is read next, and refused in its own words
                    return None
                return retry_without_unknown(refusal, translator, body, policy, model)

        translator = cast(Translator, to_gemini)
        return translator

    return decorate


class Compiler(Generic[Options]):
    """Compiles the options of an endpoint's lines, or finds them compiled."""

    def __init__(
        self, own: Mapping[str, Own], build: Build[Options], unread: frozenset[str] = frozenset()
    ) -> None:
        self._own = own
        self._build = build
        # Members that are left out, for nothing reads them.
        self._unread = unread
        # Those of them that lines have had.
        self._left_out: tuple[str, ...] = ()
        # Lines in a row whose options were not remembered.
        self.misses = 0
        # Whether the options of the last line were known: then those of the next may be.
        self.known = False
        # What lines were found by, by the names of their members, and in which generation of the
        # cache: what is used stays there, and what it gave up is not kept here.
        self._found: dict[tuple[str, ...], _Found] = {}
        self._generation: object = None

    def compile(self, rest: Json, model: str, policy: Policy, key: bytes = b"") -> Compiled[Any]:
        """Return the compiled options of ``rest``, a body without its conversation.

        ``key`` is ``rest`` as JSON where that is written already. Stand-ins may be put into
        ``rest``. Errors: Refused, by the reading of the options or because they are nested too
        deep to be written.
        """
        try:
            if self.misses >= _MISSES:
                found = self.by_shape(rest, model, policy)
                if found is not None:
                    return found
            if self._leave_out(rest):
                key = b""
            place = (self._build, key or dumps(rest), model, policy)
        except TypeError as error:
            _refuse_unwritable(rest, error)
        compiled = _options.get(place)
        if compiled is not None:
            self.misses = 0
            self.known = True
            return compiled
        self.known = False
        return self._anew(rest, place)

    def by_shape(  # noqa: C901 - in one step, as above
        self,
        rest: Json,
        model: str,
        policy: Policy,
        flat: bool = False,
    ) -> Compiled[Any] | None:
        """Look for the shape first: the options themselves were unknown several times in a row.

        None for a shape that is not known and, where what is left out must be ``flat``, for a line
        of which that is not certain. Errors: Refused, as in :meth:`compile`.
        """
        if self._generation is not _frames.new:
            self._found.clear()
            self._generation = _frames.new
        for name in self._left_out:
            if type(rest.pop(name, None)) in _NESTED and flat:
                return None
        found = self._found.get(tuple(rest))
        if found is None:
            if flat:
                return None
            found = self._left(rest)
        find, frame, last_policy, last_model = found
        if policy is not last_policy or model != last_model:
            find = frame = None
        taken: Sequence[str] = ()
        try:
            match = None if find is None else find(dumps(rest))
            if match is not None:
                values = match.groups()
            else:
                frame, values, taken = self._take_apart(rest, model, policy, frame)
        except TypeError as error:
            _refuse_unwritable(rest, error)
        if frame is not None:
            compiled = frame.filled(values)
            if compiled is not None:
                # Two in a row of the same values may be of a program that repeats them.
                if values == frame.last:
                    self.misses = 0
                frame.last = values
                return compiled
            frame.last = values
        self.misses = _MISSES - 1
        put_back(rest, values, taken)
        return None

    def _left(self, rest: Json) -> _Found:
        """Return what lines are found by that have the members which are read of ``rest``."""
        self._leave_out(rest)
        return self._found.get(tuple(rest), _NOTHING_FOUND)

    def _leave_out(self, rest: Json) -> bool:
        """Leave out what nothing reads; whether there was something of the kind."""
        if self._unread.isdisjoint(rest):
            return False
        for name in self._unread.intersection(rest):
            del rest[name]
            if name not in self._left_out:
                self._left_out += (name,)
        return True

    def _take_apart(
        self, rest: Json, model: str, policy: Policy, frame: "Frame | None"
    ) -> tuple["Frame | None", Values, Sequence[str]]:
        """Take a line's values out; what is left is the shape of ``frame``, or another one."""
        values, taken = take_members(self._own, rest)
        text = dumps(rest)
        texts = None if frame is None else frame.texts.of(text)
        if texts is not None:
            return frame, values + texts, taken
        shape, values, taken = shape_of(self._own, rest, values, taken, text)
        # Without values its texts may be stand-ins of their own.
        place = (self._build, shape, model, policy)
        return self._look_up(place, tuple(rest), taken) if values else None, values, taken

    def _look_up(
        self, place: Place, names: tuple[str, ...], taken: Sequence[str]
    ) -> "Frame | None":
        """Return the frame of a shape; the next line of these members has it without a look."""
        frame = _frames.get(place)
        if not isinstance(frame, Frame):
            return None
        if len(self._found) >= _MOST_FOUND:
            self._found.clear()
        _, shape, model, policy = place
        if frame.find is None and frame.texts.alone is not None:
            pattern = pattern_of(self._own, shape, taken)
            if pattern is not None:
                frame.find = pattern.fullmatch
                _frames.grew(place, _PATTERN_TIMES * len(shape))
        self._found[names] = (frame.find, frame, policy, model)
        return frame

    def _anew(self, rest: Json, place: Place) -> Compiled[Any]:
        build, key, model, policy = place
        if len(key) > _LARGEST_REMEMBERED:
            return self._build(rest, model, policy), (), ()
        shape, values, taken = take_own(self._own, rest)
        compiled: Compiled[Any] | None = None
        if values:
            place_of_shape = (build, shape, model, policy)
            compiled = self._framed(place_of_shape, values, taken)
            self.misses += compiled is not None
        if compiled is None:
            compiled = self._build(loads(key), model, policy), (), ()
            _tell_growth(compiled[0], _options, place)
        _options.keep(place, compiled, _size_of(place))
        return compiled

    def _framed(
        self, place: Place, values: tuple[bytes, ...], taken: Sequence[str]
    ) -> Compiled[Any] | None:
        """Return the options of a shape with these values, None where it has no frame."""
        frame = _frames.get(place)
        if frame is None:
            _frames.keep(place, True, _LEAST + len(place[1]))
        elif frame is True:
            holes = holes_of(self._own, place[1], taken, len(values))
            frame = _make_frame(place, holes, _place_of_limit(taken))
            size = _size_of(place)
            if frame:
                frame.texts = Texts(place[1], values[len(taken) :])
                size += frame.texts.size
                frame.make_other = partial(_for_low_limits, place, holes or ())
                _tell_growth(frame.options, _frames, place)
            _frames.keep(place, frame, size)
        return frame.filled(values) if isinstance(frame, Frame) else None


def _refuse_unwritable(rest: Json, error: TypeError) -> NoReturn:
    for name, value in rest.items():
        written(value, name)
    raise error


def _size_of(place: Place) -> int:
    return _LEAST + _TIMES * len(place[1])


def _tell_growth(options: object, cache: Remembered[Place, Any], place: Place) -> None:
    """Have the templates of options counted where these are remembered."""
    if isinstance(options, CompiledOptions):
        options.grew = partial(cache.grew, place)


def _place_of_limit(taken: Sequence[str]) -> int | None:
    """Return which of the values is the limit on tokens, None if none is."""
    return next((at for at, name in enumerate(taken) if name.endswith("_tokens")), None)


def _make_frame(
    place: Place, holes: Sequence[bytes] | None, limit: int | None
) -> "Frame | Literal[False]":
    """Compile the options of a shape; False where values of its own may have other effects."""
    build, shape, model, policy = place
    if holes is None:
        return False
    try:
        options = build(loads(shape), model, policy)
    except Refused:  # the line itself is compiled next, and refused in its own words
        return False
    # One seed of several is counted on from, and a limit may be above what the model has.
    if not isinstance(options, CompiledOptions) or options.seed is not None:
        return False
    if limit is not None and options.most_tokens < LARGEST_LIMIT:
        return False
    frame = Frame(options, holes, limit)
    return frame if frame.complete else False


def _for_low_limits(
    place: Place, holes: Sequence[bytes], limit: int, budget: int
) -> "Frame | Literal[False]":
    """Compile the options of a frame for limits that the budget of thoughts takes whole.

    ``place`` is the frame's, and ``limit`` the number of the value. False where no stand-in is such
    a limit, or where it would not be told from another number.
    """
    build, shape, model, policy = place
    low = b"%d" % STAND_IN_LOW_LIMIT
    if low in shape or not STAND_IN_LOW_LIMIT < budget < STAND_IN_LIMIT:
        return False
    others = [*holes[:limit], low, *holes[limit + 1 :]]
    # The stand-in is there once, or there would be no holes.
    lower = (build, shape.replace(holes[limit], low), model, policy)
    frame = _make_frame(lower, others, limit)
    if frame:
        _frames.grew(place, _size_of(place))
        _tell_growth(frame.options, _frames, place)
    return frame


class Frame:
    """Compiled options with holes for values that a line has of its own."""

    # Set where a frame is remembered: where a line has the texts among its values, and what makes
    # the same frame for limits on the other side of the budget of thoughts.
    texts: Texts
    make_other: Callable[[int, int], "Frame | Literal[False]"]

    def __init__(self, options: CompiledOptions, holes: Sequence[bytes], limit: int | None) -> None:
        self.options = options
        # The same for limits on the other side of the budget, made when the first one comes.
        self._other: Frame | Literal[False] | None = None
        # The values of the line before.
        self.last: tuple[bytes, ...] = ()
        # Finds the values in written options, where a pattern does.
        self.find: Find | None = None
        # In hints there are texts that hold JSON: there a value is written twice.
        twice = [dumps(hole.decode())[1:-1] for hole in holes]
        written_hints = b"".join(options.hints)
        # A number is the same both ways.
        places = [at for at, one in enumerate(twice) if one != holes[at] and one in written_hints]
        sought = [*holes, *(twice[at] for at in places)]
        hints = [Form(part, sought) for part in options.hints]
        self.fill = _fill_of(options, hints, places)
        # Gives a line its values, or None where they are not for this frame: a budget of thoughts
        # that takes all tokens of the line's own limit is noted.
        budget: int | None = options.config.get("thinkingConfig", {}).get("thinkingBudget")
        self.filled: Callable[[Values], Compiled[Any] | None] = self.fill
        if limit is not None and budget is not None:
            self.filled = partial(self._fitting, limit, budget)
        found = options.become_frame(holes)
        self.complete = found and not any(MARK in form.format for form in hints)

    def _fitting(self, limit: int, budget: int, values: Values) -> Compiled[Any] | None:
        """Fill the frame that the limit is for: this one, or that of limits below the budget.

        A limit is on the side of the budget that the stand-in of this frame is on, or on the other.
        """
        if (budget < int(values[limit])) == (budget < STAND_IN_LIMIT):
            return self.fill(values)
        if self._other is None:
            self._other = self.make_other(limit, budget)
        return self._other.fill(values) if self._other else None


def _fill_of(
    options: CompiledOptions, hints: Sequence[Form], twice: Sequence[int]
) -> Callable[[Values], Compiled[CompiledOptions]]:
    """Return what gives a line its options, its values and the hints that these are in.

    ``twice`` has the numbers of values that are in texts of the hints, too. Such a text is written
    JSON without a control character, so only marks and backslashes are escaped in it.
    """
    if not any(form.order for form in hints):
        return lambda values: (options, values, ())
    pieces, arrange, join = hints[0].pieces, hints[0].arrange, b"".join
    alone = len(hints) == 1

    def fill(values: Values) -> Compiled[CompiledOptions]:
        sought = values
        for at in twice:
            sought += (values[at].replace(b"\\", b"\\\\").replace(b'"', b'\\"'),)
        if alone:
            return options, values, (join(arrange(pieces + sought)),)
        return options, values, tuple([form.fill(sought) for form in hints])

    return fill
