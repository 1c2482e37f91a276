"""OpenAI's Agents SDK, pointed at the gateway by the environment alone."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from agents import Agent, Runner, function_tool, set_default_openai_api, set_tracing_disabled
from pydantic import BaseModel

MODEL = "gemini-3.8-flash"


class City(BaseModel):
    """A city."""

    name: str
    people: int


@function_tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"Sunny in {city}."


async def over_both(run: Callable[[str], Awaitable[None]]) -> None:
    """Do the same over each of OpenAI's APIs."""
    for api in ("responses", "chat_completions"):
        await run(api)


def single() -> None:
    """A text and an object, over both APIs."""
    for api in ("responses", "chat_completions"):
        set_default_openai_api(api)
        answer = Runner.run_sync(Agent(name="A", model=MODEL), "Say hello.")
        assert "hello" in answer.final_output
        city = Runner.run_sync(Agent(name="A", model=MODEL, output_type=City), "Rome.")
        assert isinstance(city.final_output, City)


def stream() -> None:
    """Events as they come, over both APIs."""

    async def run(api: str) -> None:
        set_default_openai_api(api)
        result = Runner.run_streamed(Agent(name="A", model=MODEL), "Say hello.")
        kinds = [event.type async for event in result.stream_events()]
        assert "raw_response_event" in kinds
        assert "hello" in result.final_output

    asyncio.run(over_both(run))


def tools() -> None:
    """A tool, a hand-over to another agent, and a turn after them, over both APIs."""

    async def run(api: str) -> None:
        set_default_openai_api(api)
        agent = Agent(name="A", model=MODEL, tools=[get_weather])
        first = await Runner.run(agent, "What is the weather in Rome?")
        assert any(item.type == "tool_call_output_item" for item in first.new_items)
        history = [*first.to_input_list(), {"role": "user", "content": "Say hello."}]
        second = await Runner.run(agent, history)
        assert second.final_output
        streamed = Runner.run_streamed(agent, "What is the weather in Rome?")
        kinds = [event.name async for event in streamed.stream_events() if hasattr(event, "name")]
        assert "tool_called" in kinds

    asyncio.run(over_both(run))


if __name__ == "__main__":
    set_tracing_disabled(True)
    globals()[sys.argv[1]]()
