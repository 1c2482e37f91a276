"""What lines of a batch have in common: everything but their words.

The lines of a batch come from one program, so what a body says beside its conversation (limits,
tools, schemas) is read, checked and written once and remembered by its own bytes; so is the shape
of a conversation of plain texts. Reading a line again for what the line before said costs twice
what parsing it does (measured). What is remembered is a function of the bytes alone: whether
something was remembered shows in the time a line takes, never in what comes out.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from orjson import Fragment, dumps, loads

from gateway.translate.contract import Json, Policy, Translation
from gateway.translate.reading.refusal import Refused, invalid_value
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.content import whole_resolution
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.safety import resolve_safety
from gateway.translate.schemas.convert import written
from gateway.translate.template import hole, stand_in, template_of

# Frames remembered at a time, and the size from which one is not worth the memory.
_REMEMBERED: Final = 128
_LARGEST_REMEMBERED: Final = 64 * 1024
# Shapes of conversations remembered for a frame, and the turns from which one is no use.
_MOST_SHAPES: Final = 64
_MOST_TURNS: Final = 64
# Bytes that one line may make of what it says once beside many texts.
_MOST_BESIDE: Final = 16 * 2**20
# A role that nobody knows is the line's, and is not kept.
_LONGEST_ROLE: Final = 16
# Each shape holds the tools and schemas of its frame: all frames together stay below 16 MiB.
_MOST_SHAPE_BYTES: Final = 128 * 1024
# The shape of the shortest conversation.
_ONE_TEXT: Final = ("user",)


# No template of ours: stands for a shape that nobody has seen yet.
_UNKNOWN: Final = b""

Build = Callable[[Json, str, Policy], RequestBuilder]
Read = Callable[[Any, Conversation], None]


class CompiledOptions:
    """What bodies say beside their conversation. Shared by lines, so never changed by one."""

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
            # On its own: lines that differ in nothing but their metadata have it in common.
            self.hints += (dumps({"schema": builder.schema}),)
        fanned_out = builder.choices > 1 and "candidateCount" not in builder.config
        self.items = builder.choices if fanned_out else 1
        # One seed for all would make them one answer.
        self.seed: int | None = builder.config.get("seed") if fanned_out else None
        members = builder.members
        if builder.config:
            members = {**members, "generationConfig": builder.config}
        self.members = {name: Fragment(dumps(members[name])) for name in members}
        # Only the second line pays for learning shapes: many bodies come once.
        self.shared = False
        self._shapes: dict[tuple[str, ...], bytes | None] = {}
        self._shapes_bytes = 0

    def write(self, conversation: Conversation) -> bytes:
        """The item of a conversation."""
        request: Json = {}
        system = self.system + conversation.system
        if system and not conversation.can.instructions:
            conversation.begin(system)
        elif system:
            if "cachedContent" in self.members:
                why = "cached content excludes instructions, tools and tool_choice in the line."
                invalid_value(why, f"{self.google_path}.cached_content")
            # In front, as the texts of most conversations come: a template keeps their order.
            request["systemInstruction"] = {"parts": system}
        request["contents"] = conversation.contents
        request.update(self.members)
        resolution = whole_resolution(conversation, self.config.get("mediaResolution", ""))
        if resolution:
            request["generationConfig"] = {**self.config, "mediaResolution": resolution}
        return dumps(request)

    def translation(self, turns: object, read: Read, field: str) -> Translation:
        """A line whose turns are in ``field``, read in full."""
        conversation = Conversation(self.model, self.policy, field)
        read(turns, conversation)
        items = self.spread(self.write(conversation))
        notes = (*self.notes, *conversation.notes)
        return items, self.hints, notes, tuple(conversation.files)

    def spread(self, item: bytes) -> Sequence[bytes]:
        """The items of one conversation: as many as the line has choices."""
        if self.seed is None:
            return (item,) * self.items
        seeds = range(self.seed, self.seed + self.items)
        return [_seeded(item, seed if seed < 2**31 else seed - 2**31) for seed in seeds]

    def _learn(self, roles: tuple[str, ...], read: Read) -> bytes | None:
        """The template of a conversation of plain texts; None when it is not that simple."""
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
        except Refused:  # said in full by whoever reads the line in full
            pass
        size = len(template or b"")
        if len(self._shapes) >= _MOST_SHAPES or self._shapes_bytes + size > _MOST_SHAPE_BYTES:
            self._shapes.clear()
            self._shapes_bytes = 0
        self._shapes[roles] = template
        self._shapes_bytes += size
        return template

    def one_text(self, text: str, read: Read) -> bytes | None:
        """The item of one text of the user's, None if it is more than that: an empty one is."""
        if not text:
            return None
        shapes = self._shapes
        template = shapes[_ONE_TEXT] if _ONE_TEXT in shapes else self._learn(_ONE_TEXT, read)
        return template and template % dumps(text)

    def text(self, text: str) -> bytes:
        """The item of one text of the user's, on endpoints that have nothing but a prompt."""
        item = self.one_text(text, _read_prompt)
        if item is None:
            conversation = Conversation(self.model, self.policy)
            conversation.say("user", [{"text": text}])
            item = self.write(conversation)
        return item

    def plain(self, messages: object, read: Read, part: str = "") -> bytes | None:
        """The item of a conversation of roles and texts alone, None if it is more than that.

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
    """The one message that a template is learned from, see :meth:`Frame.one_text`."""
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


def refuse_amplified(beside: int, count: int, param: str) -> None:
    """Refuse options of so many bytes that to write them with each text takes the memory."""
    if count > 1 and beside * count > _MOST_BESIDE:
        why = (
            f"what stands beside it goes with each of its {count} texts, and is too long for that."
        )
        invalid_value(why, param)


def compile_options(build: Build, rest: Json, model: str, policy: Policy) -> CompiledOptions:
    """The frame of a body without its conversation.

    Errors: Refused, by ``build`` or because it is nested too deep to be written.
    """
    try:
        key = dumps(rest)
    except TypeError:
        for name, value in rest.items():
            written(value, name)
        raise
    if len(key) > _LARGEST_REMEMBERED:
        return CompiledOptions(build(rest, model, policy))
    return _remembered(build, key, model, policy)


@lru_cache(maxsize=_REMEMBERED)
def _remembered(build: Build, key: bytes, model: str, policy: Policy) -> CompiledOptions:
    return CompiledOptions(build(loads(key), model, policy))
