"""LangChain's ChatOpenAI, pointed at the gateway by the environment alone."""

import sys

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langgraph.prebuilt import create_react_agent
from pydantic import BaseModel

MODEL = "gemini-3.8-flash"


class City(BaseModel):
    """A city."""

    name: str
    people: int


@tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"Sunny in {city}."


def models() -> list[ChatOpenAI]:
    """Over both APIs."""
    # With a base URL of one's own it asks for no usage of streams unless it is told to.
    return [
        ChatOpenAI(model=MODEL, use_responses_api=each, stream_usage=True) for each in (False, True)
    ]


def single() -> None:
    """A text, an object, vectors."""
    for model in models():
        answer = model.invoke("Say hello.")
        assert "hello" in answer.text
        assert answer.usage_metadata["total_tokens"] > 0
        assert isinstance(model.with_structured_output(City).invoke("Rome."), City)
    vectors = OpenAIEmbeddings(model="gemini-embedding-001", check_embedding_ctx_length=False)
    assert len(vectors.embed_documents(["a", "b"])) == 2


def stream() -> None:
    """Chunks that add up, with usage."""
    for model in models():
        whole = None
        for chunk in model.stream("Say hello."):
            whole = chunk if whole is None else whole + chunk
        assert "hello" in whole.text
        assert whole.usage_metadata["total_tokens"] > 0


def tools() -> None:
    """An agent that calls its tool, whole and streamed."""
    ask = {"messages": [{"role": "user", "content": "What is the weather in Rome?"}]}
    for model in models():
        agent = create_react_agent(model, [get_weather])
        kinds = [message.type for message in agent.invoke(ask)["messages"]]
        assert kinds == ["human", "ai", "tool", "ai"], kinds
        assert len(list(agent.stream(ask, stream_mode="messages"))) >= 3


if __name__ == "__main__":
    globals()[sys.argv[1]]()
