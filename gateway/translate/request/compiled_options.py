"""CompiledOptions: the translated options of a body, which are all its members but the messages.

The lines of a batch come from one program, so their options (limits, tools, schemas) are mostly the
same. They are read, checked and written once, and cached by their own bytes; so are templates of
conversations of plain texts. Reading the options of every line anew costs twice what parsing the
line does (measured). A cached value is a function of the bytes alone, so the cache shows in the
time that a line takes and never in what comes out.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Any, Final, TypeVar

from orjson import Fragment, dumps, loads

from gateway.translate.contract import Json, LineError, Policy, ToGemini, Translation
from gateway.translate.reading.refusal import Refused, invalid_value
from gateway.translate.reading.table import FieldTable
from gateway.translate.reading.unknown_fields import retry_without_unknown
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.content import whole_resolution
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.safety import resolve_safety
from gateway.translate.schemas.convert import written
from gateway.translate.template import hole, stand_in, template_of

# Cache: number of entries; options of more bytes than this are not cached.
_REMEMBERED: Final = 128
_LARGEST_REMEMBERED: Final = 64 * 1024
# Templates cached for one set of options; conversations of more turns have none.
_MOST_SHAPES: Final = 64
_MOST_TURNS: Final = 64
# Limit on options x number of texts: the requests of one line would grow by this many bytes.
_MOST_REPEATED: Final = 16 * 2**20
# Longest role name that a cached template may have.
_LONGEST_ROLE: Final = 16
# Bytes of the templates of one set of options; each template holds the tools and schemas, and all
# caches together stay below 16 MiB.
_MOST_SHAPE_BYTES: Final = 128 * 1024
# The roles of the shortest conversation.
_ONE_TEXT: Final = ("user",)


# Sentinel: no conversation of these roles has been looked at.
_UNKNOWN: Final = b""

Options = TypeVar("Options")
Build = Callable[[Json, str, Policy], Options]
Read = Callable[[Any, Conversation], None]


class CompiledOptions:
    """The options of a body, compiled. Lines share them, so no line changes them."""

    def __init__(self, builder: RequestBuilder) -> None:
        resolve_safety(builder)
        self.model = builder.model
        self.policy = builder.policy
        self.config = builder.config
        self.system = builder.system
        self.google_path = builder.google_path
        self.notes = tuple(builder.notes)
        self.asked = builder.hints
        self.hints: tuple[bytes, ...] = (dumps(builder.hints),)
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
        self.members = {name: Fragment(dumps(members[name])) for name in members}
        # Templates are made from the second line on: many bodies come once.
        self.shared = False
        self._shapes: dict[tuple[str, ...], bytes | None] = {}
        self._shapes_bytes = 0

    def write(self, conversation: Conversation) -> bytes:
        """Return the item of a conversation."""
        request: Json = {}
        system = self.system + conversation.system
        if system and not conversation.can.instructions:
            conversation.begin(system)
        elif system:
            if "cachedContent" in self.members:
                why = "cached content excludes instructions, tools and tool_choice in the line."
                invalid_value(why, f"{self.google_path}.cached_content")
            # Written first so that the texts appear in conversation order in the template.
            request["systemInstruction"] = {"parts": system}
        request["contents"] = conversation.turns()
        request.update(self.members)
        resolution = whole_resolution(conversation, self.config.get("mediaResolution", ""))
        if resolution:
            request["generationConfig"] = {**self.config, "mediaResolution": resolution}
        return dumps(request)

    def translation(self, turns: object, read: Read, field: str) -> Translation:
        """Translate a line in full; its turns are in ``field``."""
        conversation = Conversation(self.model, self.policy, field)
        read(turns, conversation)
        items = self.one_item_per_choice(self.write(conversation))
        notes = (*self.notes, *conversation.notes)
        return items, self.hints, notes, tuple(conversation.files)

    def one_item_per_choice(self, item: bytes) -> Sequence[bytes]:
        """Return the items of one conversation: as many as the line has choices."""
        if self.seed is None:
            return (item,) * self.items
        seeds = range(self.seed, self.seed + self.items)
        return [_seeded(item, seed if seed < 2**31 else seed - 2**31) for seed in seeds]

    def _learn(self, roles: tuple[str, ...], read: Read) -> bytes | None:
        """Return the template of a conversation of plain texts; None when it is not that simple."""
        if len(roles) > _MOST_TURNS or any(len(role) > _LONGEST_ROLE for role in roles):
            return None
        conversation = Conversation(self.model, self.policy)
        stand_ins = [{"role": role, "content": stand_in(n)} for n, role in enumerate(roles)]
        template = None
        try:
            read(stand_ins, conversation)
            item = self.write(conversation)
            if not conversation.notes:
                template = template_of(item, [hole(n) for n in range(len(roles))])
        except Refused:  # the line itself is read in full next, and refused with its own path
            pass
        size = len(template or b"")
        if len(self._shapes) >= _MOST_SHAPES or self._shapes_bytes + size > _MOST_SHAPE_BYTES:
            self._shapes.clear()
            self._shapes_bytes = 0
        self._shapes[roles] = template
        self._shapes_bytes += size
        return template

    def one_text(self, text: str, read: Read) -> bytes | None:
        """Return the item of one text of the user's, None where that is not so simple."""
        if not text:
            return None
        shapes = self._shapes
        template = shapes[_ONE_TEXT] if _ONE_TEXT in shapes else self._learn(_ONE_TEXT, read)
        return template and template % dumps(text)

    def text(self, text: str) -> bytes:
        """Return the item of one text of the user's, on endpoints that have only a prompt."""
        item = self.one_text(text, _read_prompt)
        if item is None:
            conversation = Conversation(self.model, self.policy)
            conversation.say("user", [{"text": text}])
            item = self.write(conversation)
        return item

    def plain(self, messages: object, read: Read, part: str = "") -> bytes | None:
        """Return the item of a conversation of roles and texts alone, None if it is more than that.

        ``[{"role": "user", "content": "Hi"}]``; ``read`` is how the endpoint reads it otherwise,
        ``part`` the type of the one part that says no more than a text does, if there is one.
        """
        if type(messages) is not list:
            return None
        roles = []
        texts = []
        try:
            for message in messages:
                role, content = message["role"], message["content"]
                if type(content) is not str:
                    content = _only_text(content, part)
                if not content or len(message) != 2:
                    return None
                roles.append(role)
                # At once, though a later message may be more: a pass of its own costs a tenth.
                texts.append(dumps(content))
            shape = tuple(roles)
            template = self._shapes.get(shape, _UNKNOWN)
            if template is _UNKNOWN:
                template = self._learn(shape, read)
        except (KeyError, TypeError):  # no message, or a role that is no string
            return None
        return template and template % tuple(texts)


def _read_prompt(messages: Sequence[Json], conversation: Conversation) -> None:
    """Read the one message that a template is made from, see :meth:`CompiledOptions.one_text`."""
    conversation.say("user", [{"text": messages[0]["content"]}])


def _only_text(content: object, part: str) -> str:
    """``[{"type": "text", "text": "Hi"}]`` -> ``"Hi"``; nothing if it is more, or no text."""
    if type(content) is not list or len(content) != 1:
        return ""
    only: Any = content[0]
    if type(only) is not dict or len(only) != 2 or only.get("type") != part:
        return ""
    text = only.get("text")
    return text if type(text) is str else ""


def _seeded(item: bytes, seed: int) -> bytes:
    request = loads(item)
    request["generationConfig"]["seed"] = seed
    return dumps(request)


def refuse_amplified(size: int, count: int, param: str) -> None:
    """Refuse options of ``size`` bytes that are too long to be repeated for each text."""
    if count > 1 and size * count > _MOST_REPEATED:
        why = (
            f"the other fields of the body are repeated for each of its {count} texts, and "
            f"together they exceed {_MOST_REPEATED // 2**20} MiB. Split the line."
        )
        invalid_value(why, param)


def translates(
    field: str, table: FieldTable[RequestBuilder], build: Build[Options]
) -> Callable[[Callable[[Options, Any], Translation]], ToGemini]:
    """Make an endpoint's ``to_gemini`` of a function of its compiled options and of ``field``.

    The field holds what differs from line to line; ``build`` compiles all others. Those that the
    table does not read are left out before: a ``user`` of its own must not make a line a new one.
    """
    unread = table.unread

    def decorate(translate: Callable[[Options, Any], Translation]) -> ToGemini:
        @wraps(translate)
        def to_gemini(body: Json, policy: Policy, model: str) -> Translation | LineError:
            rest = body.copy()
            given = rest.pop(field, None)
            if not unread.isdisjoint(rest):
                for name in unread & rest.keys():
                    del rest[name]
            try:
                return translate(compile_options(build, rest, model, policy), given)
            except Refused as refusal:
                return retry_without_unknown(refusal, to_gemini, body, policy, model)

        return to_gemini

    return decorate


def compile_options(build: Build[Options], rest: Json, model: str, policy: Policy) -> Options:
    """Return the compiled options of ``rest``, a body without its conversation.

    Errors: Refused, by ``build`` or because it is nested too deep to be written.
    """
    try:
        key = dumps(rest)
    except TypeError:
        for name, value in rest.items():
            written(value, name)
        raise
    if len(key) > _LARGEST_REMEMBERED:
        return build(rest, model, policy)
    options: Options = _remembered(build, key, model, policy)
    return options


@lru_cache(maxsize=_REMEMBERED)
def _remembered(build: Build[Any], key: bytes, model: str, policy: Policy) -> Any:  # noqa: ANN401
    return build(loads(key), model, policy)
