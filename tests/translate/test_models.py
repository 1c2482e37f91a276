"""Names of models, and what each generation can do."""

import re
from typing import get_args

import pytest
from openai.types import ChatModel, EmbeddingModel, ImageModel

from gateway.translate.contract import DEFAULT_POLICY, Policy
from gateway.translate.models.aliases import OPENAI_ALIASES, resolve_model
from gateway.translate.models.capabilities import capabilities_of
from gateway.translate.models.known import KNOWN_MODELS
from tests.every import in_one_item

ALIASES = Policy(
    aliases={
        "gpt-4o-mini": "gemini-2.5-flash",
        "gpt-4o": "models/gemini-3.6-flash",
        "loop": "loop",
        "gemini-old": "gemini-2.5-pro",
    }
)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gemini-2.5-flash", "gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("google/gemini-2.5-flash", "gemini-2.5-flash"),
        ("gemini/gemini-2.5-flash", "gemini-2.5-flash"),
        ("gpt-4o-mini", "gemini-2.5-flash"),
        ("gpt-4o", "gemini-3.6-flash"),
        ("models/gpt-4o", "gemini-3.6-flash"),
        ("models/gemini-old", "gemini-2.5-pro"),
        ("loop", "loop"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("models/", ""),
        ("", ""),
    ],
)
def test_a_name_is_resolved(name: str, model: str) -> None:
    """An alias is followed once, a known prefix is stripped, all else stays."""
    assert resolve_model(name, ALIASES) == (model, {})


NAMES = Policy(
    aliases={
        "gpt-4o": {"model": "google/gemini-3.8-flash"},
        "gpt-4o*": "gemini-2.5-flash",
        "gpt-4o-mini*": {"model": "gemini-3.5-flash-lite", "reasoning_effort": "minimal"},
        "gpt-4o-mini-2024": "gemini-2.5-pro",
    }
)


@pytest.mark.parametrize(
    ("name", "resolved"),
    [
        ("gpt-4o", ("gemini-3.8-flash", {})),
        ("gpt-4o-2024-08-06", ("gemini-2.5-flash", {})),
        ("gpt-4o-mini", ("gemini-3.5-flash-lite", {"reasoning_effort": "minimal"})),
        ("models/gpt-4o-mini-x", ("gemini-3.5-flash-lite", {"reasoning_effort": "minimal"})),
        ("gpt-4o-mini-2024", ("gemini-2.5-pro", {})),
        ("gpt-4", ("gpt-4", {})),
        ("gpt-4o*", ("gemini-2.5-flash", {})),
    ],
)
def test_the_longest_beginning_wins(name: str, resolved: tuple[str, dict[str, str]]) -> None:
    """A star was accepted and never matched; the exact name comes before any."""
    assert resolve_model(name, NAMES) == resolved


@in_one_item
@pytest.mark.parametrize("name", OPENAI_ALIASES)
def test_openais_names_lose_nothing(name: str) -> None:
    """Known models that run batches, and defaults that they can do: no line is noted for them."""
    model, defaults = resolve_model(name, Policy(aliases=OPENAI_ALIASES))
    can = capabilities_of(model, DEFAULT_POLICY)

    assert model in KNOWN_MODELS
    assert defaults.get("reasoning_effort") not in can.clamped
    assert defaults.get("dimensions", 1) <= can.most_dimensions
    assert (model != "gemini-3.5-flash-lite") or defaults == {"reasoning_effort": "minimal"}


def test_every_dated_name_of_openais_is_known() -> None:
    """Those that its SDK lists: what programs send. Models that speak have no text to give."""
    policy = Policy(aliases=OPENAI_ALIASES)
    listed = [name for kind in (ChatModel, EmbeddingModel, ImageModel) for name in get_args(kind)]
    unknown = [name for name in listed if resolve_model(name, policy).model == name]
    small = {name for name in listed if re.match(r"gpt-[345].*-(mini|nano)", name)}
    models = {resolve_model(name, policy).model for name in small}

    assert len(listed) > 50
    assert [name for name in unknown if not name.startswith("gpt-audio")] == []
    assert (len(small) > 10, models) == (True, {"gemini-3.5-flash-lite"})


def test_unknown_models_are_the_newest() -> None:
    """A name nobody has seen yet is served like the newest, never refused."""
    newest = capabilities_of("gemini-99-pro-preview", DEFAULT_POLICY)
    assert capabilities_of("gemini-4-argon", DEFAULT_POLICY) == newest
    assert capabilities_of("gemini-flash-latest", DEFAULT_POLICY) == newest
    assert newest.signatures
    assert newest.max_candidates == 1


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        # signatures, candidates, sampling, prefill, thinks
        ("gemini-2.0-flash-001", (False, 8, True, True, False)),
        ("gemini-2.5-flash-lite", (False, 8, True, True, True)),
        ("gemini-2.5-flash-image", (False, 1, True, True, False)),
        ("gemini-2.5-flash-preview-tts", (False, 1, True, True, False)),
        ("gemini-3.1-flash-tts-preview", (True, 1, True, True, False)),
        ("gemini-3-flash-preview", (True, 1, True, True, True)),
        ("gemini-3-pro-image-preview", (True, 1, True, True, False)),
        ("gemini-3.1-flash-lite", (True, 1, True, True, True)),
        ("gemini-3.5-flash", (True, 1, True, True, True)),
        ("gemini-3.5-flash-lite", (True, 1, False, False, True)),
        ("gemini-3.6-flash", (True, 1, False, False, True)),
        ("gemini-3.7-flash", (True, 1, False, False, True)),
    ],
)
def test_generations_differ(model: str, expected: tuple[object, ...]) -> None:
    """The rows of the table, by the model names they are for."""
    can = capabilities_of(model, DEFAULT_POLICY)
    thinks = can.effort is not None
    found = (can.signatures, can.max_candidates, can.sampling, can.prefill, thinks)
    assert found == expected
