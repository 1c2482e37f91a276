"""Which jobs are sent, and what answers teach."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.batches.admission import (
    OWNERS_KNOWN,
    STARVING_MS,
    Admission,
    Sent,
    Turns,
    Unread,
    Verdict,
    Waiting,
    admit,
    next_validations,
)
from gateway.batches.quota import (
    HELD_MS,
    LIVE_JOBS,
    QUIET_BELOW_BASE_MS,
    REFUSALS_OF_SIZE,
    Quota,
    QuotaRules,
    accepted,
    cancelled,
    counted,
    most_alone,
    refused,
    room_of,
    tokens_per_job,
)

MODEL = "gemini-3.5-flash"
NOW = 10_000_000
RULES = QuotaRules(enqueued_tokens={MODEL: 1000, "*": 50}, max_live_jobs=10)
AUTO = QuotaRules()


def waits(name: str, tokens: int = 100, owner: str = "me", **fields: object) -> Waiting:
    """A job that waits, for a second."""
    values = {"model": MODEL, "lines": 5, "since": NOW - 1000, **fields}
    return Waiting(name, "batch", owner, "default", tokens=tokens, **values)  # type: ignore[arg-type]


def sent(tokens: int, jobs: int = 1, owner: str = "me", model: str = MODEL) -> Sent:
    """Jobs at Google."""
    return Sent("default", model, owner, jobs, tokens)


def verdicts(
    jobs: list[Waiting], at_google: list[Sent], *quotas: Quota, rules: QuotaRules = RULES
) -> dict[str, Verdict]:
    """The lot of each, in the order in which they are asked."""
    admission = Admission(rules, quotas, at_google, NOW)
    return {job.job_id: verdict for job, verdict in admit(admission, jobs, at_google, NOW)}


def went(*args: object, **rules: object) -> list[str]:
    """Those that may go, in their order."""
    found = verdicts(*args, **rules)  # type: ignore[arg-type]
    return [name for name, verdict in found.items() if verdict is Verdict.GO]


def test_jobs_go_while_their_tokens_fit() -> None:
    """Each that goes counts for those behind it."""
    jobs = [waits(f"j{n}", 300, since=NOW - 100 + n) for n in range(5)]
    assert went(jobs, []) == ["j0", "j1", "j2"]
    assert went(jobs, [sent(500)]) == ["j0"]


def test_models_do_not_share_tokens_but_jobs() -> None:
    """A hundred live jobs are of the whole project."""
    jobs = [waits("a", 900), waits("b", 40, model="other"), waits("c", 1, model="third")]
    assert went(jobs, [sent(5, jobs=8, model="fourth")]) == ["a", "b"]


def test_a_small_job_passes_a_large_one_that_does_not_fit() -> None:
    """But not one that has waited for long: room is kept for it."""
    large, small = waits("large", 900, since=NOW - 5000), waits("small", 10)
    assert went([large, small], [sent(500)]) == ["small"]
    old = replace(large, since=NOW - STARVING_MS)
    assert went([old, small], [sent(500)]) == []
    assert went([old, small], [sent(10)]) == ["large", "small"]


def test_owners_take_turns_the_one_with_the_least_first() -> None:
    """A thousand jobs of one do not delay another's first."""
    mine = [waits(f"m{n}", since=NOW - 9000 + n) for n in range(9)]
    his = [waits(f"h{n}", owner="him") for n in range(2)]
    assert went(mine + his, [])[:4] == ["m0", "h0", "m1", "h1"]
    assert went(mine + his, [sent(600)]) == ["h0", "m0", "h1", "m1"]


def test_a_job_beyond_the_limit_is_cut() -> None:
    """Once it is alone, and has lines to cut between."""
    assert verdicts([waits("j", 1001)], [])["j"] is Verdict.CUT
    assert verdicts([waits("j", 1001)], [sent(1)])["j"] is Verdict.WAIT
    assert verdicts([waits("j", 1001, lines=1)], [])["j"] is Verdict.GO
    behind = verdicts([waits("j", 1001), waits("k", 1, since=NOW)], [])
    assert behind["k"] is Verdict.WAIT


def test_a_stopped_job_does_not_wait() -> None:
    """It is told to the runner whatever is full."""
    assert verdicts([waits("j", 9999, stopped=True)], [sent(1000)])["j"] is Verdict.STOP


def test_estimates_are_corrected() -> None:
    """By what came back of that model; a few answers do not turn it over."""
    twice = counted(Quota("default", MODEL), 10**6, 2 * 10**6)
    assert went([waits("j", 600)], [sent(1)], twice) == []
    assert went([waits("j", 400)], [sent(1)], twice) == ["j"]
    assert counted(Quota("default", MODEL), 10, 100).ratio == pytest.approx(1, rel=0.01)
    assert counted(Quota("default", MODEL), 1, 10**9).ratio == 4
    assert tokens_per_job(twice, RULES) < tokens_per_job(Quota("default", MODEL), RULES) == 500


@pytest.mark.parametrize(
    ("model", "tier", "tokens"),
    [
        ("gemini-3.5-flash", None, 3_000_000),
        ("gemini-3.8-flash", 2, 400_000_000),
        ("gemini-3.5-flash-lite", 1, 10_000_000),
        ("gemini-3.1-pro-preview", 1, 5_000_000),
        ("gemini-3-pro-image-preview", 1, 2_000_000),
        ("gemini-embedding-001", 3, 10_000_000),
        ("gemini-2.5-flash-preview-tts", 2, 25_000),
        ("gemini-4-argon", 1, 3_000_000),
    ],
)
def test_the_table_of_tiers(model: str, tier: int | None, tokens: int) -> None:
    """By family; what has no row has the newest Flash's."""
    assert QuotaRules(tier).base(model) == tokens


def ask(limit: int, sizes: list[int], quota: Quota, rules: QuotaRules) -> tuple[int, Quota]:
    """Send jobs one after the other that stay at Google; refusals until the end, and the quota."""
    waiting, used, refusals, rounds = list(sizes), 0, 0, 0
    while waiting and (rounds := rounds + 1) < 2_000_000:
        size = waiting[0]
        if used and size > room_of(quota, rules) - used:
            used = 0  # all end
        elif size > most_alone(quota, rules) and size > 1 and not used:
            waiting[:1] = [size // 2, size - size // 2]
        elif used + size > limit:
            refusals += 1
            quota = refused(quota, rules, used, size, until=0, now=0)
        else:
            used += waiting.pop(0)
            quota = accepted(quota, rules, used, 0)
    assert not waiting
    return refusals, quota


@pytest.mark.slow
@given(
    st.integers(AUTO.floor(MODEL), 5_000_000),
    st.lists(st.integers(1, 3_000_000), min_size=1, max_size=9),
)
def test_any_limit_is_learned(limit: int, sizes: list[int]) -> None:
    """Everything gets through, whatever Google admits that is believed, after few refusals."""
    most = 60 + 3 * sum(sizes) // limit
    refusals, quota = ask(limit, sizes, Quota("default", MODEL), AUTO)
    assert refusals <= most
    again, _ = ask(limit, sizes, quota, AUTO)
    assert again <= refusals + sum(sizes) // limit + 1


def test_a_larger_tier_is_found() -> None:
    """From tier 1 to a hundred times as much without a refusal."""
    quota = Quota("default", MODEL)
    refusals, quota = ask(300_000_000, [1_500_000] * 150, quota, AUTO)
    assert refusals == 0
    assert room_of(quota, AUTO) >= 100_000_000
    assert room_of(quota, QuotaRules(tier=1)) == 3_000_000


def test_an_outage_does_not_shred_what_waits() -> None:
    """After an hour of 429 a job as large as the last that was accepted is tried whole."""
    quota = accepted(Quota("default", MODEL), AUTO, 1_000_000, 0)
    size = 1_000_000
    for _ in range(20):
        quota = refused(quota, AUTO, 0, size, until=0, now=0)
        size = max(1, min(size, most_alone(quota, AUTO)))
    quota = accepted(quota, AUTO, size, 0)
    assert most_alone(quota, AUTO) >= 700_000


@pytest.mark.parametrize(
    ("rules", "floor"),
    [
        (AUTO, 300_000),
        (QuotaRules(tier=3), 300_000),
        (QuotaRules(enqueued_tokens={MODEL: 50_000}), 5_000),
        (QuotaRules(enqueued_tokens={"*": 3}), 1),
    ],
)
def test_no_job_is_cut_below_a_part_of_what_is_published(rules: QuotaRules, floor: int) -> None:
    """However often it is refused: then it is no size that Google is known to refuse."""
    quota, size, sizes = Quota("default", MODEL), 1_200_000, set[int]()
    for _ in range(60):
        sizes.add(size)
        if verdicts([waits("j", size)], [], quota, rules=rules)["j"] is Verdict.CUT:
            size //= 2
        else:
            quota = refused(quota, rules, 0, size, until=0, now=NOW)
    assert rules.floor(MODEL) == floor
    assert floor // 2 <= size <= floor
    assert len(sizes) <= 24
    small = refused(Quota("default", MODEL), rules, 0, floor, until=9, now=NOW)
    assert (room_of(small, rules), small.ceiling, small.blocked_until) == (
        rules.base(MODEL),
        None,
        9,
    )


def test_a_passing_refusal_cuts_nothing() -> None:
    """Only a row of them, and nothing goes before its time."""
    quota = Quota("default", MODEL)
    for number in range(REFUSALS_OF_SIZE):
        assert verdicts([waits("j", 900)], [], quota)["j"] is Verdict.GO
        quota = refused(quota, RULES, 0, 900, until=NOW - number, now=NOW)
    assert verdicts([waits("j", 900)], [], quota)["j"] is Verdict.CUT
    assert verdicts([waits("j", 10)], [], replace(quota, blocked_until=NOW + 1)) == {
        "j": Verdict.WAIT
    }


def test_tokens_of_cancelled_jobs_count_until_they_are_proven_free() -> None:
    """A job that is alone is tried all the same; its refusal says nothing of its size."""
    quota = cancelled(Quota("default", MODEL), 800, NOW)
    assert went([waits("j", 300)], [sent(1)], quota) == []
    assert went([waits("j", 300)], [], quota) == ["j"]
    again = refused(quota, RULES, 0, 300, until=0, now=NOW)
    assert (again.refusals, again.ceiling, again.held_at(NOW)) == (0, None, 800)
    assert accepted(quota, RULES, 300, NOW).held == 0
    assert accepted(quota, RULES, 100, NOW).held == 800
    assert quota.held_at(NOW + HELD_MS) == 0


def test_live_jobs_are_learned_too() -> None:
    """One fewer than were refused; more again when the refusal is no longer young."""
    rules = QuotaRules(max_live_jobs=100)
    quota = refused(Quota("default", LIVE_JOBS), rules, 40, 1, until=0, now=0)
    assert room_of(quota, rules) == 40
    for _ in range(200):
        quota = accepted(quota, rules, 40, QUIET_BELOW_BASE_MS)
    assert room_of(quota, rules) == 40
    quota = accepted(quota, rules, 40, QUIET_BELOW_BASE_MS * 3 // 2)
    assert room_of(quota, rules) == 45
    assert room_of(replace(quota, room=500), rules) == 100


def test_a_passing_refusal_far_below_a_limit_teaches_nothing() -> None:
    """Seen: one job at a time for ten minutes, where a hundred may be live. A row of them does."""
    rules, quota = QuotaRules(max_live_jobs=100), Quota("default", LIVE_JOBS)
    for _ in range(2):
        quota = refused(quota, rules, 1, 1, until=5, now=0)
        assert (room_of(quota, rules), quota.blocked_until) == (100, 5)

    assert room_of(refused(quota, rules, 1, 1, until=5, now=0), rules) == 1
    quota = accepted(quota, rules, 1, 6)
    assert room_of(refused(quota, rules, 1, 1, until=9, now=6), rules) == 100


def send_for(hours: int, limit: int, size: int, quota: Quota, now: int) -> tuple[int, Quota]:
    """Fill what there is with jobs of one size every ten minutes; refusals, and the quota."""
    refusals = 0
    for minute in range(0, 60 * hours, 10):
        at, used = now + minute * 60_000, 0
        while used + size <= room_of(quota, AUTO):
            if used + size > limit:
                refusals += 1
                quota = refused(quota, AUTO, used, size, until=0, now=at)
                break
            used += size
            quota = accepted(quota, AUTO, used, at)
    return refusals, quota


@pytest.mark.parametrize("size", [300_000, 700_000, 1_500_000])
@pytest.mark.parametrize("limit", [3_000_000, 4_100_000, 37_000_000])
def test_a_fixed_limit_that_was_found_is_left_alone_for_hours(limit: int, size: int) -> None:
    """Seen: a limit was tried again after every few creates, and each time refused."""
    found, quota = send_for(1, limit, size, Quota("default", MODEL), 0)
    assert found <= 2
    assert limit // 2 <= room_of(quota, AUTO)
    again, quota = send_for(3, limit, size, quota, 3_600_000)
    assert again == 0
    in_a_day, quota = send_for(24, limit, size, quota, 4 * 3_600_000)
    assert in_a_day <= 6


def test_a_limit_that_rises_is_found_within_a_day() -> None:
    """From tier 1 to tier 2; that one is left alone for hours as well."""
    _, quota = send_for(1, 3_000_000, 1_500_000, Quota("default", MODEL), 0)
    refusals, quota = send_for(12, 400_000_000, 1_500_000, quota, 3_600_000)
    assert refusals <= 3
    assert room_of(quota, AUTO) >= 100_000_000


def test_a_create_that_teaches_nothing_changes_nothing() -> None:
    """A row that stays as it is need not be written for every job."""
    quota = accepted(Quota("default", MODEL), RULES, 100, NOW)
    assert accepted(quota, RULES, 200, NOW + 1) == quota


_UNREAD = [("a", "me", NOW - 1, 900), ("b", "me", NOW - 1, 10), ("c", "him", NOW - 1, 500)]


def chosen(waiting: list[Unread], free: int, turns: Mapping[str, int] | None = None) -> list[str]:
    """Those that are validated next, in their order."""
    return [each.batch_id for each in next_validations(waiting, NOW, free, turns or {})]


def test_small_validations_before_large_ones_and_owners_in_turn() -> None:
    """But none waits for ever."""
    waiting = [Unread(*each) for each in _UNREAD]
    assert chosen(waiting, 9) == ["b", "c", "a"]
    old = [Unread("old", "me", NOW - STARVING_MS, 10**9), *waiting]
    assert chosen(old, 2) == ["old", "c"]


def test_who_had_a_turn_comes_behind_the_others() -> None:
    """However small what they have, and however long it has waited."""
    first = Unread("first", "late", NOW, 10**9)
    old = [Unread(f"o{n}", "me", NOW - STARVING_MS - 9 + n, 10) for n in range(3)]
    small = [Unread(f"s{n}", "him", NOW - 1, 10) for n in range(3)]
    assert chosen([*old, *small, first], 4, {"me": 7, "him": 5}) == ["first", "s0", "o0", "s1"]


def test_new_owners_who_keep_coming_let_none_wait_for_ever() -> None:
    """Each has a first batch; one who had a turn waits for one of them, not for all."""
    turns, served = Turns(), []
    turns.took("known")
    for number in range(6):
        waiting = [
            *([] if "known" in served else [Unread("b", "known", NOW - STARVING_MS, 10**9)]),
            Unread(f"n{number}", f"new {number}", NOW, 10),
        ]
        turns.see(each.owner for each in waiting)
        [first] = next_validations(waiting, NOW, 1, turns.numbers)
        served.append(first.owner)
        turns.took(first.owner)
    assert served == ["new 0", "known", "new 2", "new 3", "new 4", "new 5"]


def test_of_so_many_owners_alone_the_last_turn_is_known() -> None:
    """Owners are as many as clients have keys."""
    turns = Turns()
    for number in range(OWNERS_KNOWN):
        turns.took(str(number))
    turns.see(["seen"])
    turns.took("1")
    assert set(turns.numbers) == {*map(str, range(1, OWNERS_KNOWN)), "seen"}


def test_a_job_without_a_place_goes_where_there_is_most_room() -> None:
    """Each project has its quota; a job that was placed stays."""
    at_google = [Sent("one", MODEL, "me", 1, 900), Sent("two", MODEL, "me", 1, 500)]
    admission = Admission(RULES, [], at_google, NOW, ["one", "two"])
    jobs = [waits("a", 300), waits("b", 200), waits("c", 300), waits("d", 5, placed=True)]

    lots = admit(admission, jobs, at_google, NOW)

    assert [(job.credential, verdict) for job, verdict in lots] == [
        ("two", Verdict.GO),
        ("two", Verdict.GO),
        ("one", Verdict.WAIT),
        ("default", Verdict.GO),
    ]


def test_no_job_is_placed_where_nothing_may_go() -> None:
    """A project that just answered 429, or whose live jobs are all taken."""
    blocked = Quota("one", MODEL, blocked_until=NOW + 1)
    full = Sent("two", "another", "me", 10, 0)
    admission = Admission(RULES, [blocked], [full], NOW, ["one", "two", "three"])

    [(job, verdict)] = admit(admission, [waits("a")], [full], NOW)

    assert (job.credential, verdict) == ("three", Verdict.GO)
