"""The protocol of a paid create, small enough to be explored whole.

Two replicas over one row and one upstream. A step may happen whenever its conditions hold, in any
order; a replica may be paused for ever between any two of its steps, and may crash; a lease may run
out at any moment. Time is the phase of an intent: its deadline is ahead (``open``), it has passed
(``over``), and the settling time behind it too (``settled``).

Assumed of the upstream, and said in the runner's README: a call is received before its deadline or
never, for the connection carries it; what was accepted is listed once the settling time is over.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

OPEN, OVER, SETTLED = "open", "over", "settled"
REPLICAS: Final = 2
CRASHES: Final = 1
INTENTS: Final = 2  # a story that would need more is not told to its end


class Guard(Enum):
    """What the protocol checks. The model without one is a mutant."""

    LEASE = "a row is claimed only when no lease lasts"
    FENCE = "a save names the fence of its claim"
    INTENT = "the intent is saved before the create is sent"
    DEADLINE = "nothing is sent once the deadline of the intent has passed"
    SETTLE = "a listing decides only when the settling time is over"
    LOOK = "nothing is created again before a listing has lacked it"
    ADOPT = "what a listing shows is adopted"


@dataclass(frozen=True)
class Replica:
    """One process: where it is in its step, and about which intent."""

    at: str = "idle"
    intent: int = -1


@dataclass(frozen=True)
class State:
    """The row, the upstream, the clock and the replicas at a moment.

    A fence says whose claim was the last: here that replica itself, so that numbers do not grow.
    """

    row: str = "planned"
    holder: int = -1
    leased: bool = False
    intent: int = -1  # the last one that the row says
    phases: tuple[str, ...] = ()
    flying: frozenset[tuple[int, int]] = frozenset()  # calls that were sent: replica, intent
    accepted: tuple[int, ...] = ()  # the intents whose calls made a job
    replicas: tuple[Replica, ...] = (Replica(),) * REPLICAS
    crashes: int = CRASHES


@dataclass(frozen=True)
class Model:
    """The protocol with some of its guards."""

    without: frozenset[Guard] = frozenset()
    _all: frozenset[Guard] = field(default=frozenset(Guard), init=False)

    def has(self, guard: Guard) -> bool:
        """Whether a guard holds."""
        return guard not in self.without

    def following(self, state: State) -> Iterator[tuple[str, State]]:
        """Every step that may be next, and what it leads to."""
        yield from _time(state)
        for number, replica in enumerate(state.replicas):
            yield from self._of_replica(state, number, replica)
        for call in state.flying:
            yield from self._of_call(state, *call)

    def _of_replica(
        self, state: State, number: int, replica: Replica
    ) -> Iterator[tuple[str, State]]:
        if state.crashes and replica.at != "idle":
            crashed = replace(state, crashes=state.crashes - 1)
            yield f"{number} crashes", _at(crashed, number, Replica())
        step = getattr(self, f"_{replica.at}")
        yield from ((f"{number} {name}", after) for name, after in step(state, number, replica))

    def _idle(self, state: State, number: int, _: Replica) -> Iterator[tuple[str, State]]:
        if state.row == "running" or (state.leased and self.has(Guard.LEASE)):
            return
        claimed = replace(state, holder=number, leased=True)
        replica = Replica(state.row, state.intent)
        yield "claims", _at(claimed, number, replica)

    def _planned(self, state: State, number: int, replica: Replica) -> Iterator[tuple[str, State]]:
        """Save the intent; without that guard the create is sent before anything is saved."""
        if len(state.phases) == INTENTS:
            return
        intent = len(state.phases)
        begun = replace(state, phases=(*state.phases, OPEN))
        ready = replace(replica, at="ready", intent=intent)
        if not self.has(Guard.INTENT):
            yield "sends before it saves", _at(begun, number, ready)
        elif self._may_save(state, number):
            saved = replace(begun, row="submitting", intent=intent)
            yield "saves the intent", _at(saved, number, ready)
        else:
            yield "has lost its claim", _at(state, number, Replica())

    def _ready(self, state: State, number: int, replica: Replica) -> Iterator[tuple[str, State]]:
        if state.phases[replica.intent] == OPEN or not self.has(Guard.DEADLINE):
            sent = replace(state, flying=state.flying | {(number, replica.intent)})
            yield "sends", _at(sent, number, replace(replica, at="waiting"))
        else:
            yield "is too late", self._save(state, number, "planned")

    def _waiting(self, _: State, __: int, ___: Replica) -> Iterator[tuple[str, State]]:
        """Wait for the call: see :meth:`_of_call`."""
        yield from ()

    def _named(self, state: State, number: int, _: Replica) -> Iterator[tuple[str, State]]:
        yield "saves the name", self._save(state, number, "running")

    def _doubtful(self, state: State, number: int, _: Replica) -> Iterator[tuple[str, State]]:
        yield "saves its doubt", self._save(state, number, "submitting")

    def _submitting(
        self, state: State, number: int, replica: Replica
    ) -> Iterator[tuple[str, State]]:
        """Find out whether a create landed."""
        if not self.has(Guard.LOOK):
            yield "does not look", _at(state, number, replace(replica, at="absent"))
            return
        if state.phases[replica.intent] != SETTLED and self.has(Guard.SETTLE):
            yield "waits", self._save(state, number, "submitting")
            return
        listed = any(state.phases[intent] == SETTLED for intent in state.accepted)
        seen = "found" if listed and self.has(Guard.ADOPT) else "absent"
        yield "lists", _at(state, number, replace(replica, at=seen))

    def _found(self, state: State, number: int, _: Replica) -> Iterator[tuple[str, State]]:
        yield "adopts", self._save(state, number, "running")

    def _absent(self, state: State, number: int, _: Replica) -> Iterator[tuple[str, State]]:
        yield "plans it again", self._save(state, number, "planned")

    def _of_call(self, state: State, number: int, intent: int) -> Iterator[tuple[str, State]]:
        """A call arrives or is lost, and so is its answer."""
        landed = replace(state, flying=state.flying - {(number, intent)})
        caller = state.replicas[number]
        waits = caller.at == "waiting" and caller.intent == intent
        told = _at(landed, number, replace(caller, at="doubtful")) if waits else landed
        yield f"the call of {number} is lost", told
        if state.phases[intent] != OPEN and self.has(Guard.DEADLINE):
            return
        made = replace(told, accepted=(*state.accepted, intent))
        yield f"the call of {number} arrives, its answer does not", made
        if waits:
            named = _at(made, number, replace(caller, at="named"))
            yield f"the call of {number} is answered", named

    def _may_save(self, state: State, number: int) -> bool:
        return state.holder == number or not self.has(Guard.FENCE)

    def _save(self, state: State, number: int, row: str) -> State:
        """Save and end the claim, if it still is that; the step is over."""
        if self._may_save(state, number):
            state = replace(state, row=row, leased=False)
        return _at(state, number, Replica())


def _time(state: State) -> Iterator[tuple[str, State]]:
    if state.leased:
        yield "the lease runs out", replace(state, leased=False)
    for intent, phase in enumerate(state.phases):
        if phase != SETTLED:
            later = OVER if phase == OPEN else SETTLED
            phases = (*state.phases[:intent], later, *state.phases[intent + 1 :])
            yield f"intent {intent} is {later}", replace(state, phases=phases)


def _at(state: State, number: int, replica: Replica) -> State:
    replicas = (*state.replicas[:number], replica, *state.replicas[number + 1 :])
    return replace(state, replicas=replicas)


@dataclass(frozen=True)
class Explored:
    """Every state that can be reached, with how; and a story that ends in two payments, if any."""

    states: Mapping[State, tuple[str, State] | None]
    following: Mapping[State, tuple[State, ...]]
    broken: State | None

    def story(self, state: State) -> list[str]:
        """The steps that lead to a state."""
        steps = []
        while (before := self.states[state]) is not None:
            step, state = before
            steps.append(step)
        return steps[::-1]

    def stuck(self) -> list[State]:
        """States from which the job can never run; those at the bound of intents aside."""
        before: dict[State, list[State]] = {state: [] for state in self.states}
        for state, others in self.following.items():
            for other in others:
                before[other].append(state)
        ends = [
            state for state in self.states if state.row == "running" or len(state.phases) == INTENTS
        ]
        reached, queue = set(ends), deque(ends)
        while queue:
            for state in before[queue.popleft()]:
                if state not in reached:
                    reached.add(state)
                    queue.append(state)
        return [state for state in self.states if state not in reached]


def explore(model: Model) -> Explored:
    """Visit every state, the nearest first; stop where a job was paid for twice."""
    start = State()
    states: dict[State, tuple[str, State] | None] = {start: None}
    following: dict[State, tuple[State, ...]] = {}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        steps = list(model.following(state))
        following[state] = tuple(after for _, after in steps)
        for step, after in steps:
            if after not in states:
                states[after] = (step, state)
                queue.append(after)
            if len(after.accepted) > 1:
                return Explored(states, following, after)
    return Explored(states, following, None)
