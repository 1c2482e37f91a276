"""Help of every command: what it does, an example that can be typed, ``--json`` for programs."""

import re
import shlex

import pytest
from click.testing import CliRunner

from gateway.cli.main import COMMANDS, main

# What is asked of a running gateway, by people and by programs.
FOR_PROGRAMS = ("batches", "status", "retry", "rerender", "cancel", "verify", "doctor")
# Those that are typed as they are.
PLAIN = {"serve", "demo", "emulator", "migrate"}


def shown(name: str) -> str:
    """The help of a command."""
    done = CliRunner().invoke(main, [name, "--help"], terminal_width=200)
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - PLAIN))
def test_every_command_has_an_example(name: str) -> None:
    """Its options exist."""
    text = shown(name)
    examples = re.findall(rf"^ +(?:\w+=\S+ )?(gateway {name}\b.*)$", text, re.MULTILINE)
    assert examples
    for example in examples:
        for word in shlex.split(example.partition("|")[0].partition(">")[0]):
            if word.startswith("--"):
                assert f"  {word.partition('=')[0]}" in text


@pytest.mark.parametrize("name", FOR_PROGRAMS)
def test_programs_get_json(name: str) -> None:
    """From each of those that tell of batches."""
    assert "--json" in shown(name)
