"""Request bodies as real programs build them: run by ``python -m tests.builders.record``.

``python bodies.py PROGRAM URL`` in an environment of that program makes it send one request for
each model below and each way of asking. The name of a case is part of the URL, so that whoever
listens there knows what it gets. Programs are imported by name: this project does not have them.
"""

import asyncio
import enum
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime
from functools import partial
from importlib import import_module
from typing import Annotated, Any, Final, Literal, Union
from uuid import UUID

from pydantic import BaseModel, Field

MODEL: Final = "gemini-3.6-flash"
ASK: Final = [{"role": "user", "content": "Hi"}]


class Flat(BaseModel):
    """A person."""

    name: str
    age: int
    score: float = 0.5
    active: bool = True


class Colour(enum.Enum):
    """Colours."""

    RED = "red"
    BLUE = "blue"


class Priority(enum.IntEnum):
    """Priorities."""

    LOW = 1
    HIGH = 2


class Choices(BaseModel):
    """Enums and literals."""

    colour: Colour
    priority: Priority
    size: Literal["s", "m", "l"]
    level: Literal[1, 2, 3]
    mixed: Literal["a", 1, True] | None


class Optionals(BaseModel):
    """What may be absent or null."""

    a: str | None = None
    b: int | str | None
    c: Flat | None = None
    d: list[str] | None = Field(default=None, description="words")


class Nested(BaseModel):
    """Models in models."""

    one: Flat
    many: list[Flat] = Field(min_length=1, max_length=5)
    deep: list[list[Optionals]]


class Limited(BaseModel):
    """Limits of every kind."""

    code: str = Field(pattern=r"^[A-Z]{2}\d+$", min_length=3, max_length=9)
    share: float = Field(gt=0, lt=1)
    count: int = Field(ge=1, le=10, multiple_of=2)
    tags: set[str] = Field(max_length=3)


class Formats(BaseModel):
    """Strings of a form."""

    day: date
    moment: datetime
    key: UUID
    mail: str = Field(json_schema_extra={"format": "email"})


class Maps(BaseModel):
    """Maps beside models with titles."""

    words: dict[str, str]
    people: dict[str, Flat]
    code: str = Field(min_length=2, pattern="^x")
    anything: dict[str, Any] = {}


class Tuples(BaseModel):
    """Tuples."""

    pair: tuple[int, str]
    same: tuple[float, float, float]
    open: tuple[int, ...]


class Untyped(BaseModel):
    """Values of any kind."""

    value: Any
    values: list[Any] = []


class Cat(BaseModel):
    """A cat."""

    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    """A dog."""

    kind: Literal["dog"]
    good: bool


class Unions(BaseModel):
    """A union with a discriminator and one without."""

    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    other: Cat | Dog | str


class Tree(BaseModel):
    """A tree."""

    value: str
    children: list["Tree"] = []


class Linked(BaseModel):
    """A list that ends with null."""

    value: int
    next: Union["Linked", None] = None


class Number(BaseModel):
    """A number."""

    value: float


class Sum(BaseModel):
    """A sum of expressions: a loop of required properties, in strict mode and else."""

    left: Union[Number, "Sum"]
    right: Union[Number, "Sum"]


class Empty(BaseModel):
    """No arguments."""


class Large(BaseModel):
    """Long arrays."""

    first: list[str] = Field(max_length=600)
    second: list[int] = Field(max_length=600)


MODELS: Final[list[type[BaseModel]]] = [
    *(Flat, Choices, Optionals, Nested, Limited, Formats, Maps, Tuples, Untyped, Unions),
    *(Tree, Linked, Sum, Empty, Large),
]
# The name of a case and what sends it, given the URL.
Case = tuple[str, Callable[[str], object]]


def openai_bodies() -> Iterator[Case]:
    """``openai``: the helpers that parse, and functions made of models."""
    openai: Any = import_module("openai")

    def send(url: str, endpoint: str, method: str, **fields: object) -> None:
        client = openai.OpenAI(api_key="x", base_url=url, max_retries=0)
        words = {"input": "Hi"} if endpoint == "responses" else {"messages": ASK}
        owner = client.responses if endpoint == "responses" else client.chat.completions
        getattr(owner, method)(model=MODEL, **words, **fields)

    for model in MODELS:
        name, tool = model.__name__, openai.pydantic_function_tool(model)
        flat = {"type": "function", **tool["function"]}
        yield (
            f"chat.parse-{name}",
            partial(send, endpoint="chat", method="parse", response_format=model),
        )
        yield (
            f"responses.parse-{name}",
            partial(send, endpoint="responses", method="parse", text_format=model),
        )
        yield f"chat.tool-{name}", partial(send, endpoint="chat", method="create", tools=[tool])
        yield (
            f"responses.tool-{name}",
            partial(send, endpoint="responses", method="create", tools=[flat]),
        )


def langchain_bodies() -> Iterator[Case]:
    """``langchain-openai``: bound tools, structured output, histories, on both endpoints."""
    chat: Any = import_module("langchain_openai").ChatOpenAI

    def client(url: str, responses: bool) -> Any:
        return chat(
            model=MODEL, api_key="x", base_url=url, max_retries=0, use_responses_api=responses
        )

    def bind(url: str, responses: bool, model: type[BaseModel]) -> None:
        client(url, responses).bind_tools([model]).invoke("Hi")

    def structure(url: str, responses: bool, model: type[BaseModel], method: str) -> None:
        client(url, responses).with_structured_output(model, method=method).invoke("Hi")

    def go_on(url: str, responses: bool, history: list[Any]) -> None:
        client(url, responses).invoke(history)

    for responses, word in ((False, "chat"), (True, "responses")):
        for model in MODELS:
            name = f"{word}-{model.__name__}"
            of: dict[str, Any] = {"responses": responses, "model": model}
            yield f"bind_tools-{name}", partial(bind, **of)
            for method in ("json_schema", "function_calling", "json_mode"):
                yield f"{method}-{name}", partial(structure, **of, method=method)
        for name, history in _histories().items():
            yield f"history-{word}-{name}", partial(go_on, responses=responses, history=history)


def _histories() -> dict[str, list[Any]]:
    messages: Any = import_module("langchain_core.messages")
    call = {"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
    broken = {"name": "f", "args": '{"a":', "id": "c1", "error": "no JSON"}
    human, result = messages.HumanMessage("Hi"), messages.ToolMessage("ok", tool_call_id="c1")
    return {
        "call": [human, messages.AIMessage("", tool_calls=[call]), result],
        "call-first": [messages.AIMessage("", tool_calls=[call]), result],
        "broken": [human, messages.AIMessage("", invalid_tool_calls=[broken]), result],
        "words": [messages.SystemMessage("s"), human, messages.AIMessage("Yes"), human],
    }


def pydantic_ai_bodies() -> Iterator[Case]:
    """``pydantic-ai``: output by tool and native, on both endpoints."""
    ai: Any = import_module("pydantic_ai")
    models: Any = import_module("pydantic_ai.models.openai")
    provider: Any = import_module("pydantic_ai.providers.openai").OpenAIProvider

    def run(url: str, kind: Any, output: Any) -> None:
        model = kind(MODEL, provider=provider(base_url=url, api_key="x"))
        ai.Agent(model, output_type=output, instructions="s", retries=0).run_sync("Hi")

    for model in MODELS:
        for kind in (models.OpenAIChatModel, models.OpenAIResponsesModel):
            for way in (ai.ToolOutput, ai.NativeOutput):
                name = f"{kind.__name__}-{way.__name__}-{model.__name__}"
                yield name, partial(run, kind=kind, output=way(model))


def instructor_bodies() -> Iterator[Case]:
    """``instructor``: its modes for OpenAI."""
    instructor: Any = import_module("instructor")
    openai: Any = import_module("openai")

    def run(url: str, mode: Any, model: type[BaseModel]) -> None:
        client = openai.OpenAI(api_key="x", base_url=url, max_retries=0)
        patched = instructor.from_openai(client, mode=mode)
        patched.create(model=MODEL, messages=ASK, response_model=model, max_retries=0)

    for word in ("TOOLS", "TOOLS_STRICT", "JSON", "JSON_SCHEMA", "RESPONSES_TOOLS"):
        mode = getattr(instructor.Mode, word, None)
        for model in MODELS if mode is not None else ():
            yield f"{word}-{model.__name__}", partial(run, mode=mode, model=model)


def agents_bodies() -> Iterator[Case]:
    """``openai-agents``: an output type, and a function of the same arguments."""
    agents: Any = import_module("agents")
    openai: Any = import_module("openai")
    agents.set_tracing_disabled(True)

    def run(url: str, kind: Any, model: type[BaseModel], strict: bool) -> None:
        client = openai.AsyncOpenAI(api_key="x", base_url=url, max_retries=0)
        tool = agents.FunctionTool(
            name=model.__name__.lower(),
            description="d",
            params_json_schema=model.model_json_schema(),
            on_invoke_tool=lambda *_: None,
            strict_json_schema=strict,
        )
        output = agents.AgentOutputSchema(model, strict_json_schema=strict)
        agent = agents.Agent(
            name="a", instructions="s", tools=[tool], output_type=output, model=kind(MODEL, client)
        )
        asyncio.run(agents.Runner.run(agent, "Hi"))

    for model in MODELS:
        for kind in (agents.OpenAIChatCompletionsModel, agents.OpenAIResponsesModel):
            for strict in (True, False):
                name = f"{kind.__name__}-{'strict' if strict else 'loose'}-{model.__name__}"
                yield name, partial(run, kind=kind, model=model, strict=strict)


PROGRAMS: Final[dict[str, Callable[[], Iterator[Case]]]] = {
    "openai": openai_bodies,
    "langchain-openai": langchain_bodies,
    "pydantic-ai-slim": pydantic_ai_bodies,
    "instructor": instructor_bodies,
    "openai-agents": agents_bodies,
}

if __name__ == "__main__":
    for case, send in PROGRAMS[sys.argv[1]]():
        # Whoever listens answers 400: what counts has been sent by then. Some programs refuse a
        # model before they send anything.
        with suppress(Exception):
            send(f"{sys.argv[2]}/{case}/v1")
