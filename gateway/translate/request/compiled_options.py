"""CompiledOptions: the translated options of a body, which are all its members but the messages.

The lines of a batch come from one program, so their options (limits, tools, schemas) are mostly the
same. They are read, checked and written once, and remembered (:mod:`gateway.translate.frames`);
so are templates of conversations of plain texts and pictures. Reading the options of every line
anew costs twice what parsing the line does (measured).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeVar

from orjson import Fragment, dumps, loads

from gateway.translate.contract import Json, Marks, Policy, Translation
from gateway.translate.models.estimates import marks_of, media_marks
from gateway.translate.reading.refusal import Refused, invalid_value
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.content import whole_resolution
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.media import written_image
from gateway.translate.request.safety import resolve_safety
from gateway.translate.template import MARK, Form, Piece, StandIns
from gateway.units import MIB

# Templates cached for one set of options; conversations of more texts have none.
_MOST_SHAPES: Final = 64
_MOST_TURNS: Final = 64
# Limit on options x number of texts: the requests of one line would grow by this many bytes.
_MOST_REPEATED: Final = 16 * MIB
# Longest name in a shape that has a cached template: of a function, with what marks it as one.
_LONGEST_NAME: Final = 65
# Bytes of the templates of one set of options; each template holds the tools and schemas.
_MOST_SHAPE_BYTES: Final = 128 * 1024
# A turn of one text is named by its role, any other by its role and what each part is: "" for a
# text, the type of a picture and its ``detail``, or what the endpoint names a call by.
Turn = str | tuple[str, ...]
Shape = tuple[Turn, ...]
# The shape of the shortest conversation.
_ONE_TEXT: Final = ("user",)
_TEXT: Final = ""
# Sentinel: no conversation of the shape has been looked at.
_UNKNOWN: Final = (Form(b"", ()), ())

# A line's own values, and its own parts of the hints; empty where it has none.
Values = tuple[bytes, ...]
Hints = tuple[bytes, ...]
Options = TypeVar("Options")
Build = Callable[[Json, str, Policy], Options]
Read = Callable[[Any, Conversation], None]


class Calls(Protocol):
    """Turns of an endpoint that are more than texts and pictures: calls with their results."""

    def read(self, message: Json, rest: Iterator[Json], texts: list[Piece]) -> Turn | None:
        """Return the turn that begins with a message; what belongs to it is taken from the rest.

        What is in it is added to ``texts``, written. None if it is more than the shape says.
        """
        ...

    def stand_ins(self, turn: Turn, made: StandIns) -> list[Json]:
        """Return messages of such a turn; empty if it is another one."""
        ...


# An item, and its marks; a template of items, and theirs.
Plain = tuple[bytes, Marks]
_Template = tuple[Form, Marks]


class _Templates(dict[Shape, _Template | None]):
    """Templates by shape; None where a shape has none."""

    def __init__(self) -> None:
        super().__init__()
        # Of those that are filled with a conversation's texts in their order: most of them.
        self.formats: dict[Shape, Plain] = {}
        self._bytes = 0

    def learn(self, shape: Shape, template: _Template | None) -> int:
        """Remember a template, and return its size."""
        size = _written_size(shape) + (len(template[0].format) if template else 0)
        if len(self) >= _MOST_SHAPES or self._bytes + size > _MOST_SHAPE_BYTES:
            self.clear()
            self.formats.clear()
            self._bytes = 0
        self[shape] = template
        if template is not None and template[0].plain and all(type(turn) is str for turn in shape):
            self.formats[shape] = (template[0].format, template[1])
        self._bytes += size
        return size


class CompiledOptions:
    """The options of a body, compiled. Lines share them, so no line changes them.

    Options of a frame (:mod:`gateway.translate.frames`) hold stand-ins. A line brings its own
    ``values`` for them, written, and the ``hints`` that these are in.
    """

    # Templates are made from the second line on: many bodies come once.
    shared = False

    def __init__(self, builder: RequestBuilder) -> None:
        resolve_safety(builder)
        self.model = builder.model
        self.policy = builder.policy
        self.most_tokens = builder.can.most_tokens
        self.config = builder.config
        self.system = builder.system
        self.google_path = builder.google_path
        self.notes = tuple(builder.notes)
        self.asked = builder.hints
        self.hints: Hints = (dumps(builder.hints),)
        if builder.schema:
            # The schema is stored separately, so lines that differ in metadata still share it.
            self.hints += (dumps({"schema": builder.schema}),)
        fanned_out = builder.choices > 1 and "candidateCount" not in builder.config
        self.items = builder.choices if fanned_out else 1
        # One seed for all would make them one answer.
        self.seed: int | None = builder.config.get("seed") if fanned_out else None
        members = builder.members
        if builder.config:
            members = {**members, "generationConfig": builder.config}
        self.members = {name: dumps(members[name]) for name in members}
        # Tokens of an answer, of all its candidates, and which of a line's own values limits them.
        self._candidates: int = builder.config.get("candidateCount", 1)
        self.usual_most: int = (
            builder.config.get("maxOutputTokens", self.most_tokens) * self._candidates
        )
        self._limit: int | None = None
        self._marks = marks_of(dumps({name: Fragment(text) for name, text in self.members.items()}))
        self._templates = _Templates()
        # That of one text, which stays; whether it has been looked for.
        self.alone: _Template | None = None
        self._alone_known = False
        # Told how many bytes the templates have more.
        self.grew: Callable[[int], None] = _nothing
        self._holes: Sequence[bytes] = ()
        self._forms: dict[str, Form] = {}
        self._system_form: Form | None = None

    def become_frame(self, holes: Sequence[bytes]) -> bool:
        """Find the stand-ins; whether all of them are found as they were put in."""
        self._holes = holes
        limit = b"%d" % self.config.get("maxOutputTokens", 0)
        self._limit = holes.index(limit) if limit in holes else None
        forms = {name: Form(text, holes) for name, text in self.members.items()}
        system = Form(dumps(self.system), holes)
        # What has no hole is as it is.
        self._forms = {name: form for name, form in forms.items() if form.order}
        self._system_form = system if system.order else None
        self.shared = True
        return not any(MARK in form.format for form in (*forms.values(), system))

    def _written_members(self, values: Values) -> dict[str, bytes]:
        if not values:
            return self.members
        return {**self.members, **{name: form.fill(values) for name, form in self._forms.items()}}

    def _system_parts(self, values: Values) -> list[Json]:
        if not values or self._system_form is None:
            return self.system
        parts: list[Json] = loads(self._system_form.fill(values))
        return parts

    def most(self, values: Values = ()) -> int:
        """Return how many tokens the answer of an item may have at most."""
        if self._limit is None:
            return self.usual_most
        return int(values[self._limit]) * self._candidates

    def write(self, conversation: Conversation, values: Values = ()) -> Plain:
        """Return the item of a conversation, and its marks."""
        request: Json = {}
        members = self._written_members(values)
        system = self._system_parts(values) + conversation.system
        if system and not conversation.can.instructions:
            conversation.begin(system)
        elif system:
            if "cachedContent" in members:
                why = "cached content excludes instructions, tools and tool_choice in the line."
                invalid_value(why, f"{self.google_path}.cached_content")
            # Written first so that the texts appear in conversation order in the template.
            request["systemInstruction"] = {"parts": system}
        request["contents"] = conversation.turns()
        for name, text in members.items():
            request[name] = Fragment(text)
        resolution = whole_resolution(conversation, self.config.get("mediaResolution", ""))
        if resolution:
            config = loads(members.get("generationConfig", b"{}"))
            request["generationConfig"] = {**config, "mediaResolution": resolution}
        return dumps(request), (*media_marks(request), *self._marks)

    def translation(
        self, turns: object, read: Read, field: str, values: Values = (), hints: Hints = ()
    ) -> Translation:
        """Translate a line in full; its turns are in ``field``."""
        conversation = Conversation(self.model, self.policy, field)
        read(turns, conversation)
        item, marks = self.write(conversation, values)
        items = self.one_item_per_choice(item)
        notes, files = (*self.notes, *conversation.notes), tuple(conversation.files)
        return items, hints or self.hints, notes, files, marks, self.most(values)

    def one_item_per_choice(self, item: bytes) -> Sequence[bytes]:
        """Return the items of one conversation: as many as the line has choices."""
        if self.seed is None:
            return (item,) * self.items
        seeds = range(self.seed, self.seed + self.items)
        return [_seeded(item, seed if seed < 2**31 else seed - 2**31) for seed in seeds]

    def _learn(self, shape: Shape, read: Read, calls: Calls | None = None) -> _Template | None:
        """Return the template of a conversation; None when it is not that simple."""
        names = [name for turn in shape for name in _names(turn)]
        if len(names) > _MOST_TURNS or any(len(name) > _LONGEST_NAME for name in names):
            return None
        conversation = Conversation(self.model, self.policy)
        made = StandIns()
        stand_ins = [
            message
            for turn in shape
            for message in (calls and calls.stand_ins(turn, made)) or [_stand_in(turn, made)]
        ]
        template = None
        try:
            read(stand_ins, conversation)
            item, marks = self.write(conversation)
            form = None if conversation.notes else _template(item, made, self._holes)
            template = None if form is None else (form, marks)
        except Refused:  # the line itself is read in full next, and refused with its own path
            pass
        self.grew(self._templates.learn(shape, template))
        return template

    def one_text(self, text: str, read: Read, values: Values = ()) -> Plain | None:
        """Return the item of one text of the user's, None where that is not so simple."""
        if not self._alone_known:
            self.alone = self._learn(_ONE_TEXT, read)
            self._alone_known = True
        if self.alone is None or not text:
            return None
        form, marks = self.alone
        return form.fill((dumps(text), *values)) if values else form.format % dumps(text), marks

    def text(self, text: str, values: Values = ()) -> Plain:
        """Return the item of one text of the user's, on endpoints that have only a prompt."""
        plain = self.one_text(text, _read_prompt, values)
        if plain is not None:
            return plain
        conversation = Conversation(self.model, self.policy)
        conversation.say("user", [{"text": text}])
        return self.write(conversation, values)

    def plain(
        self,
        messages: Any,  # noqa: ANN401 - parsed JSON
        read: Read,
        part: str = "",
        picture: str = "",
        values: Values = (),
        *,
        calls: Calls | None = None,
    ) -> Plain | None:
        """Return the item of a conversation of texts and pictures, None if it is more than that.

        ``[{"role": "user", "content": "Hi"}]``; ``read`` is how the endpoint reads it otherwise,
        ``part`` and ``picture`` the types of parts that are no more than a text, or a picture;
        ``calls`` reads turns of calls.
        """
        turns: list[Turn] = []
        texts: list[Piece] = []
        try:
            rest = iter(messages)
            for message in rest:
                role, content = message["role"], message["content"]
                if len(message) == 2 and type(content) is str and content:
                    turns.append(role)
                    # At once, though a later message may be more: a pass of its own costs a tenth.
                    texts.append(dumps(content))
                    continue
                turn = _turn(role, content, part, picture, texts) if len(message) == 2 else None
                if turn is None and calls is not None:
                    turn = calls.read(message, rest, texts)
                if turn is None:
                    return None
                turns.append(turn)
            shape = tuple(turns)
            templates = self._templates
            if not values:
                plain = templates.formats.get(shape)
                if plain is not None:
                    written, marks = plain
                    return written % tuple(texts), marks
            template = templates.get(shape, _UNKNOWN)
            if template is _UNKNOWN:
                template = self._learn(shape, read, calls)
        except (KeyError, TypeError, Refused):  # no messages, a role that is no string, no picture
            return None
        if template is None:
            return None
        form, marks = template
        return b"".join(form.arrange((*form.pieces, *texts, *values))), marks


def _nothing(_: int) -> None:
    """Count nothing: these options are not remembered."""


def _names(turn: Turn) -> tuple[str, ...]:
    return (turn,) if type(turn) is str else turn  # type: ignore[return-value]  # a tuple else


def _written_size(shape: Shape) -> int:
    """Bytes of what a shape names, which are the client's."""
    return sum([len(name) for turn in shape for name in _names(turn)])


def _stand_in(turn: Turn, made: StandIns) -> Json:
    """Make a message of a turn."""
    if type(turn) is str:
        return {"role": turn, "content": made.text()}
    parts: list[Json] = []
    for name in turn[1:]:
        if name == _TEXT:
            parts.append({"type": "text", "text": made.text()})
        else:
            kind, _, detail = name.partition(" ")
            image = {"url": f"data:{kind};base64,{made.base64()}"}
            if detail:
                image["detail"] = detail
            parts.append({"type": "image_url", "image_url": image})
    return {"role": turn[0], "content": parts}


def _template(item: bytes, made: StandIns, holes: Sequence[bytes]) -> Form | None:
    """Make the template of an item; None when a value is not there as often as it should be."""
    form = Form(item, [*made.holes, *holes])
    found = sorted(number for number in form.order if number < len(made.holes))
    if found != made.places or (holes and MARK in form.format):
        return None
    return form


def _read_prompt(messages: Sequence[Json], conversation: Conversation) -> None:
    """Read the one message that a template is made from, see :meth:`CompiledOptions.one_text`."""
    conversation.say("user", [{"text": messages[0]["content"]}])


def _turn(role: str, content: object, part: str, picture: str, texts: list[Piece]) -> Turn | None:
    """Say what each part of a message is, and add what is in it; None if one is more.

    ``[{"type": "text", "text": "Hi"}]`` -> the role alone; with a picture of PNG ->
    ``("user", "", "image/png")``.
    """
    if type(content) is not list or not content:
        return None
    names = [role]
    for one in content:
        if len(one) != 2:
            return None
        kind = one["type"]
        if kind == part:
            text = one["text"]
            if type(text) is not str or not text:
                return None
            names.append(_TEXT)
            texts.append(dumps(text))
        elif kind == picture:
            image = one["image_url"]
            url = image["url"]
            found = written_image(url) if type(url) is str else None
            name = found and _named(found[0], image)
            if not found or not name:
                return None
            names.append(name)
            texts.append(found[1])
        else:
            return None
    return tuple(names) if len(names) > 2 or names[1] else role


def _named(kind: str, image: Json) -> str:
    """``image/png`` -> ``image/png low`` where there is a ``detail``; nothing if there is more."""
    if len(image) == 1:
        return kind
    detail = image["detail"]
    return f"{kind} {detail}" if len(image) == 2 and type(detail) is str and detail else ""


def _seeded(item: bytes, seed: int) -> bytes:
    request = loads(item)
    request["generationConfig"]["seed"] = seed
    return dumps(request)


def refuse_amplified(size: int, count: int, param: str) -> None:
    """Refuse options of ``size`` bytes that are too long to be repeated for each text."""
    if count > 1 and size * count > _MOST_REPEATED:
        why = (
            f"the other fields of the body are repeated for each of its {count} texts, and "
            f"together they exceed {_MOST_REPEATED // MIB} MiB. Split the line."
        )
        invalid_value(why, param)
