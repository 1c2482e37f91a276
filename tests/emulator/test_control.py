"""Control routes, the clock, masks: what tests steer the emulator with."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from gateway.emulator import EmulatorOptions, create_app
from gateway.emulator.protocol.clock import EmulatorClock, stamp
from gateway.emulator.protocol.errors import ApiError
from gateway.emulator.protocol.masks import apply_mask, parse_mask
from gateway.emulator.testing import Emulator, running

Create = Callable[..., httpx.Response]


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> int:
        """Milliseconds."""
        return 1_700_000_000_000 + int(self.seconds * 1000)

    def monotonic(self) -> float:
        """Seconds."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Move."""
        self.seconds += seconds


def test_clock() -> None:
    """Follows its clock at its speed, can be moved, never goes back."""
    hand = HandClock()
    clock = EmulatorClock(hand, 10)
    start = clock.now_ns()
    hand.seconds = 1
    assert clock.now_ns() - start == 10_000_000_000
    clock.set_speed(2)
    hand.seconds = 2
    assert clock.now_ns() - start == 12_000_000_000
    clock.advance(3)
    assert clock.now_ns() - start == 15_000_000_000
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="positive"):
        clock.set_speed(0)


def test_stamps() -> None:
    """Nine digits for jobs, six for files."""
    assert stamp(1_787_150_052_267_870_162) == "2026-08-19T14:34:12.267870162Z"
    assert stamp(1_787_150_052_267_870_162, 6) == "2026-08-19T14:34:12.267870Z"


def test_journal(gemini: Emulator, api: httpx.Client, create: Create) -> None:
    """What was accepted, by kind and from a point on; it can be cleared."""
    create("a", displayName="one")
    name = create("b").json()["name"]
    api.post(f"/v1beta/{name}:cancel")
    url = gemini.control("journal")
    entries = api.get(url, params={"kind": "create"}).json()["entries"]
    assert [entry["displayName"] for entry in entries] == ["one", ""]
    assert (entries[0]["model"], entries[0]["items"], entries[0]["keys"]) == (
        "gemini-2.5-flash",
        1,
        ["k0"],
    )
    later = api.get(url, params={"since": entries[-1]["seq"]}).json()["entries"]
    assert [entry["kind"] for entry in later] == ["cancel"]
    api.delete(url)
    assert gemini.journal() == []


def test_faults_by_route(gemini: Emulator, api: httpx.Client, create: Create) -> None:
    """Armed as an object, a list or a text; counted; disarmed."""
    url = gemini.control("faults")
    api.post(url, json={"name": "create-500", "times": 1})
    api.post(url, json=["create-500:times=1", {"name": "quota", "times": 1}])
    assert [create("x").status_code for _ in range(4)] == [500, 500, 429, 200]
    report = api.get(url).json()
    assert [fault["applied"] for fault in report["faults"]] == [1, 1, 1]
    assert "create-500-after" in report["known"]
    api.delete(url)
    assert gemini.faults() == []


@pytest.mark.parametrize("wrong", [{"name": "nope"}, 5, {"name": "quota", "times": "x"}, "a:b"])
def test_wrong_faults(gemini: Emulator, api: httpx.Client, wrong: Any) -> None:
    """400 that says what is wrong; nothing is armed."""
    answer = api.post(gemini.control("faults"), json=[{"name": "quota"}, wrong])
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert gemini.faults() == []


def test_clock_by_route(gemini: Emulator, api: httpx.Client, create: Create) -> None:
    """Moved a minute on, the job is over."""
    name = create("x").json()["name"]
    before = api.get(gemini.control("clock")).json()
    after = api.post(gemini.control("clock"), json={"advance": 60, "speed": 2}).json()
    assert after["speed"] == 2
    assert after["now"] > before["now"]
    gemini.finish()
    assert api.get(f"/v1beta/{name}").json()["done"] is True
    assert api.post(gemini.control("clock"), json={"advance": -1}).status_code == 400


def test_jobs_by_route(gemini: Emulator, api: httpx.Client, create: Create) -> None:
    """Every job is shown; one can be told to end."""
    gemini.fault("job-stuck")
    names = [create("x").json()["name"] for _ in range(2)]
    api.post(gemini.control("jobs"), json={"name": names[0]})
    gemini.finish(names[0])
    jobs = api.get(gemini.control("jobs")).json()["jobs"]
    assert [job["state"] for job in jobs] == ["SUCCEEDED", "PENDING"]
    assert jobs[0]["faults"] == ["job-stuck"]


@pytest.mark.parametrize("name", ["batches/unknown", "files/abc"])
def test_a_job_that_is_not_there(gemini: Emulator, api: httpx.Client, name: str) -> None:
    """A name that is mistaken is told; it was taken for a job whose time was over."""
    with pytest.raises(ValueError, match=f"there is no job '{name}'"):
        gemini.finish(name)
    assert api.post(gemini.control("jobs"), json={"name": name}).status_code == 400
    gemini.finish()


def test_control_is_off_unless_asked_for() -> None:
    """No such routes on a plain emulator."""
    for control, count in ((False, 0), (True, 11)):
        app = create_app(EmulatorOptions(control=control))
        paths = [getattr(route, "path", "") for route in app.routes]
        assert sum(path.startswith("/emulator/") for path in paths) == count
        app.state.emulator.close()


def test_slow_marker(gemini: Emulator) -> None:
    """A synchronous call that takes longer than its client waits."""
    body = {"contents": [{"parts": [{"text": "x [[slow:5]]"}]}]}
    url = f"{gemini.base_url}/v1/models/gemini-2.5-flash:generateContent"
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            url, json=body, headers={"x-goog-api-key": "k"}, timeout=httpx.Timeout(20, read=0.3)
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"job_seconds": -1},
        {"speed": 0},
        {"pending_share": 2},
        {"bad_line": "maybe"},
    ],
)
def test_wrong_options(wrong: dict[str, Any]) -> None:
    """Named."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EmulatorOptions(**wrong)


def test_jobs_end_at_once() -> None:
    """With no time to take a job is over as soon as its work is."""
    with running(EmulatorOptions(job_seconds=0)) as gemini:
        body = {
            "batch": {
                "inputConfig": {
                    "requests": {
                        "requests": [{"request": {"contents": [{"parts": [{"text": "x"}]}]}}]
                    },
                },
            },
        }
        path = "/v1/models/gemini-2.5-flash:batchGenerateContent"
        with httpx.Client(
            base_url=gemini.base_url, headers={"x-goog-api-key": "k"}, timeout=60
        ) as api:
            name = api.post(path, json=body).json()["name"]
            states = list(_until_done(api, name))
    assert states[-1] == "BATCH_STATE_SUCCEEDED"


def _until_done(api: httpx.Client, name: str) -> Iterator[str]:
    """States until the end; at most 1,000 looks."""
    for _ in range(1000):
        answer = api.get(f"/v1/{name}").json()
        yield answer["metadata"]["state"]
        if answer.get("done"):
            return


# --- masks ---------------------------------------------------------------------------------------

VALUE = {"a": 1, "b": {"c": 2, "d": {"e": 3, "f": 4}}, "l": [{"x": 1, "y": 2}, {"x": 3}]}


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ("a", {"a": 1}),
        ("a,b/c", {"a": 1, "b": {"c": 2}}),
        ("b(c,d/e)", {"b": {"c": 2, "d": {"e": 3}}}),
        ("b/d(e,f)", {"b": {"d": {"e": 3, "f": 4}}}),
        ("l/x", {"l": [{"x": 1}, {"x": 3}]}),
        ("*", VALUE),
        ("nothing", {}),
    ],
)
def test_masks(mask: str, expected: object) -> None:
    """The grammar of ``fields``."""
    assert apply_mask(parse_mask(mask), VALUE) == expected


@pytest.mark.parametrize("mask", ["a(", "a)", ",a", "a//b", "a b!", "(a)", "a(b", ""])
def test_wrong_masks(mask: str) -> None:
    """400."""
    with pytest.raises(ApiError):
        parse_mask(mask)


def test_the_journal_forgets_the_oldest() -> None:
    """Of more entries than it keeps; their numbers go on."""
    with running(EmulatorOptions(journal_entries=2)) as emulator:
        headers = {"x-goog-api-key": "k"}
        path = f"{emulator.base_url}/v1beta/models/gemini-2.5-flash:countTokens"
        for _ in range(4):
            httpx.post(
                path, headers=headers, json={"contents": [{"parts": [{"text": "x"}]}]}, timeout=60
            )
        assert [entry["seq"] for entry in emulator.journal()] == [3, 4]


def test_calls_are_counted(api: httpx.Client, gemini: Emulator) -> None:
    """By operation, refused ones too; over the control route as well."""
    gemini.fault("error", on="list", times=1)
    for _ in range(3):
        api.get("/v1beta/batches")
    api.get("/v1beta/models/gemini-2.5-flash")
    assert gemini.calls() == {"list": 3, "model": 1}
    assert api.get("/emulator/calls").json() == {"calls": gemini.calls()}
