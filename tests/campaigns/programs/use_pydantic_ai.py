"""pydantic-ai, pointed at the gateway by the environment alone."""

import asyncio
import sys

from pydantic import BaseModel
from pydantic_ai import Agent

MODELS = ("openai-chat:gemini-3.8-flash", "openai-responses:gemini-3.8-flash")


class City(BaseModel):
    """A city."""

    name: str
    people: int


def single() -> None:
    """A text, and an object."""
    for model in MODELS:
        result = Agent(model).run_sync("Say hello.")
        assert "hello" in result.output
        assert result.usage.output_tokens > 0
        assert isinstance(Agent(model, output_type=City).run_sync("Rome.").output, City)


def stream() -> None:
    """Texts as they come, and an object as it grows."""

    async def run(model: str) -> None:
        async with Agent(model).run_stream("Say hello.") as result:
            texts = [text async for text in result.stream_text(delta=True)]
            assert "hello" in "".join(texts)
        async with Agent(model, output_type=City).run_stream("Rome.") as result:
            assert isinstance(await result.get_output(), City)

    for model in MODELS:
        asyncio.run(run(model))


def tools() -> None:
    """An agent that calls its tool, whole and streamed."""
    asked = []

    async def run(model: str) -> None:
        agent = Agent(model)

        @agent.tool_plain
        def get_weather(city: str) -> str:
            """Tell the weather of a city."""
            asked.append(city)
            return "Sunny."

        result = await agent.run("What is the weather in Rome?")
        assert result.output
        async with agent.run_stream("What is the weather in Rome?") as streamed:
            assert await streamed.get_output()

    for model in MODELS:
        asyncio.run(run(model))
    assert len(asked) == 4


if __name__ == "__main__":
    globals()[sys.argv[1]]()
