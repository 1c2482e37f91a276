"""Simulation: random stories of clients, Google, time and crashes on one simulated gateway.

``python -m tests.campaigns.simulate`` tells stories until one goes wrong, seed after seed, and
prints how many steps a minute that were. The machine, with its rules and what must be so after each
step, is ``tests/simulation/test_machine.py``. A story that goes wrong is told in its shortest form;
``--first SEED --seeds 1`` tells it again.
"""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from gateway.clock import SystemClock
from tests.simulation.test_machine import GatewayMachine


def tell(number: int, stories: int, steps: int) -> Counter[str]:
    """Tell the stories of one seed; what they met. Errors: whatever a story found."""

    class Machine(GatewayMachine):
        met: ClassVar[Counter[str]] = Counter()

    profile = settings(
        max_examples=stories,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(Machine), settings=profile)
    return Machine.met


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell stories; 1 when one went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds")
    parser.add_argument("--stories", type=int, default=100, help="stories of each seed")
    parser.add_argument("--steps", type=int, default=50, help="steps of each story at most")
    chosen = parser.parse_args(arguments)
    logging.disable(logging.ERROR)
    clock = SystemClock()
    everything = Counter[str]()
    for number in range(chosen.first, chosen.first + chosen.seeds):
        begun = clock.monotonic()
        try:
            met = tell(number, chosen.stories, chosen.steps)
        except BaseException:
            print(f"seed {number} went wrong")
            raise
        everything += met
        rate = 60 * met["steps"] / (clock.monotonic() - begun)
        print(f"seed {number}: {met['steps']} steps, {rate:.0f} a minute", flush=True)
    for what in sorted(everything):
        print(f"{everything[what]:8} {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
