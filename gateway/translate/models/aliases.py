"""Model names that clients write -> Gemini model ids, and the defaults that come with a name."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from gateway.translate.contract import Json, Policy

# How the resource (`models/x`), OpenRouter and Google's own layer (`google/x`) and LiteLLM
# (`gemini/x`) write a Gemini model.
_PREFIXES: Final = ("models/", "google/", "gemini/")


class Resolved(NamedTuple):
    """Gemini model of a name, and members that a body has unless it says otherwise."""

    model: str
    defaults: Mapping[str, Any]


_FLASH: Final = "gemini-3.8-flash"
# OpenAI's chat models before GPT-5 do not think, and no model that is open to new keys can be told
# not to: this is the least that it has (README of this room, reasoning_effort).
_BRIEF: Final[Json] = {"model": _FLASH, "reasoning_effort": "low"}
_SMALL: Final[Json] = {"model": "gemini-3.5-flash-lite", "reasoning_effort": "minimal"}
_HARDEST: Final = "gemini-4-argon"
_PICTURES: Final = "gemini-3.1-flash-image"


def _vectors(dimensions: int) -> Json:
    return {"model": "gemini-embedding-001", "dimensions": dimensions}


# What ``GATEWAY_MODEL_ALIASES=openai`` turns on. The choice of models is the gateway's own. A name
# with ``*`` takes dated names too (``gpt-4o-mini-2024-07-18``). Sizes of vectors: OpenAI's page
# "Vector embeddings" (1,536 for small and ada-002, 3,072 for large).
OPENAI_ALIASES: Final[Mapping[str, str | Json]] = {
    **dict.fromkeys(("gpt-4*", "chatgpt-4o*"), _BRIEF),
    **dict.fromkeys(("gpt-5*", "gpt-6*", "o1*", "o3*", "o4-mini*", "codex-*"), _FLASH),
    **dict.fromkeys(("gpt-5-pro*", "gpt-5.2-pro*", "gpt-5.5-pro*", "o1-pro*", "o3-pro*"), _HARDEST),
    **dict.fromkeys(("gpt-3.5-turbo*", "gpt-4o-mini*", "gpt-4.1-mini*", "gpt-4.1-nano*"), _SMALL),
    **dict.fromkeys(("gpt-5-mini*", "gpt-5-nano*", "gpt-5.1-mini*"), _SMALL),
    **dict.fromkeys(("gpt-5.4-mini*", "gpt-5.4-nano*"), _SMALL),
    **dict.fromkeys(("text-embedding-3-small", "text-embedding-ada-002"), _vectors(1536)),
    "text-embedding-3-large": _vectors(3072),
    **dict.fromkeys(("gpt-image-*", "chatgpt-image-*", "dall-e-*"), _PICTURES),
}


def resolve_model(name: str, policy: Policy) -> Resolved:
    """Follow an alias, then strip a known prefix.

    ``"models/gemini-2.5-flash"`` -> ``"gemini-2.5-flash"``; with the alias
    ``{"gpt-4o-mini": "google/gemini-2.5-flash"}`` also ``"gpt-4o-mini"``. An alias is followed
    once: aliases of aliases would make a loop possible.
    """
    alias = _alias_of(name, policy.aliases)
    bare = without_prefix(name)
    if alias is None and bare != name:
        alias = _alias_of(bare, policy.aliases)
    if alias is None:
        return Resolved(bare, {})
    if isinstance(alias, str):
        return Resolved(without_prefix(alias), {})
    defaults = {member: value for member, value in alias.items() if member != "model"}
    return Resolved(without_prefix(alias["model"]), defaults)


def _alias_of(
    name: str, aliases: Mapping[str, str | Mapping[str, Any]]
) -> str | Mapping[str, Any] | None:
    """Find the alias of this name, else of the longest ``gpt-4o*`` that fits."""
    if name in aliases:
        return aliases[name]
    fitting = [key for key in aliases if key.endswith("*") and name.startswith(key[:-1])]
    return aliases[max(fitting, key=len)] if fitting else None


def plain_names(aliases: Iterable[str]) -> Iterable[str]:
    """List what clients may write for aliases: ``gpt-4o*`` is shown as ``gpt-4o``."""
    names = (alias.removesuffix("*") for alias in aliases)
    return dict.fromkeys(name for name in names if name and name[-1].isalnum())


def without_prefix(name: str) -> str:
    """``"google/gemini-3-flash"`` -> ``"gemini-3-flash"``."""
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name
