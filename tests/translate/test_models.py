"""Names of models, and what each generation can do."""

import pytest

from gateway.translate.contract import DEFAULT_POLICY, Policy
from gateway.translate.models.aliases import resolve_model
from gateway.translate.models.capabilities import capabilities_of

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
    assert resolve_model(name, ALIASES) == model


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
