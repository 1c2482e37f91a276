"""inspect-ai, pointed at the gateway by the environment alone."""

import sys

from inspect_ai import Task, eval  # noqa: A004 - its manual's name
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import tool

MODEL = "openai/gemini-3.8-flash"


@tool
def get_weather():  # noqa: ANN201 - as its manual writes it
    """Make the tool."""

    async def execute(city: str) -> str:
        """Tell the weather of a city.

        Args:
            city: Name of the city.
        """
        return f"Sunny in {city}."

    return execute


def run(task: Task, **how: object) -> object:
    """Evaluate; its log."""
    (log,) = eval(task, model=MODEL, log_dir="logs", display="none", **how)
    assert log.status == "success", log.error
    return log


def task(text: str, target: str, *solvers: object, samples: int = 1) -> Task:
    """Make a task."""
    asked = [Sample(input=text, target=target) for _ in range(samples)]
    return Task(dataset=asked, solver=[*solvers, generate()], scorer=includes())


def single() -> None:
    """A sample, over both APIs."""
    for responses in (False, True):
        log = run(task("Say hello.", "hello"), model_args={"responses_api": responses})
        assert log.results.scores[0].metrics["accuracy"].value == 1.0
        assert log.stats.model_usage[MODEL].total_tokens > 0


def tools() -> None:
    """A tool loop, over both APIs."""
    for responses in (False, True):
        asked = task("What is the weather in Rome?", "e", use_tools(get_weather()))
        log = run(asked, model_args={"responses_api": responses})
        roles = [message.role for message in log.samples[0].messages]
        assert roles == ["user", "assistant", "tool", "assistant"], roles


def batch() -> None:
    """Its batch mode, over both APIs."""
    for responses in (False, True):
        config = GenerateConfig(batch={"send_delay": 0.2, "tick": 0.2, "size": 3})
        asked = task("Say hello.", "hello", samples=3)
        asked.config = config
        log = run(asked, model_args={"responses_api": responses})
        assert log.results.scores[0].metrics["accuracy"].value == 1.0


if __name__ == "__main__":
    globals()[sys.argv[1]]()
