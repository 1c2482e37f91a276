"""Model names that clients write -> Gemini model ids."""

from typing import Final

from gateway.translate.contract import Policy

# How the resource (`models/x`), OpenRouter and Google's own layer (`google/x`) and LiteLLM
# (`gemini/x`) write a Gemini model.
_PREFIXES: Final = ("models/", "google/", "gemini/")


def resolve_model(name: str, policy: Policy) -> str:
    """Follow an alias, then strip a known prefix.

    ``"models/gemini-2.5-flash"`` -> ``"gemini-2.5-flash"``; with the alias
    ``{"gpt-4o-mini": "google/gemini-2.5-flash"}`` also ``"gpt-4o-mini"``. An alias is followed
    once: aliases of aliases would make a loop possible.
    """
    aliases = policy.aliases
    target = aliases.get(name)
    bare = without_prefix(name if target is None else target)
    if target is None and bare != name:
        bare = without_prefix(aliases.get(bare, bare))
    return bare


def without_prefix(name: str) -> str:
    """``"google/gemini-3-flash"`` -> ``"gemini-3-flash"``."""
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name
