"""Anything that clients, Google, time and crashes may do, in any order, on one gateway."""

import asyncio
from collections import Counter
from typing import Any, ClassVar, Final

import orjson
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.batches.batch import Batch
from gateway.runner.runner import Runner
from tests.simulation.google import FAULTS, KEYS, Fate, Fault, Item
from tests.simulation.model import (
    ENDPOINT,
    ENDS,
    WINDOW,
    Kind,
    KnownBatch,
    KnownFile,
    Model,
    judge_end,
    see,
)
from tests.simulation.world import ENDING, OWNERS, World

pytestmark = pytest.mark.slow

HOUR: Final = 3600
FILES: Final = ("output", "error")
INPUTS: Final = st.lists(st.sampled_from(Kind), min_size=1, max_size=7)
# A batch that is being ended has ended so long (seconds) after the promised time, however its
# last steps fail: a step that has failed pauses for at most five minutes.
GRACE: Final = 400

FATES: Final = st.builds(
    Fate,
    pending=st.sampled_from([20.0, 0.0, 900.0]),
    running=st.sampled_from([60.0, 5.0, 4000.0, 90_000.0]),
    end=st.sampled_from(["SUCCEEDED", "SUCCEEDED", "FAILED", "EXPIRED", "CANCELLED"]),
    error_code=st.sampled_from(["UNAVAILABLE", "INVALID_ARGUMENT", None]),
    items=st.lists(st.sampled_from(list(Item)), min_size=1, max_size=3).map(tuple),
    deaf=st.booleans(),
    listed_late=st.booleans(),
    denied=st.sampled_from([0.0, 100.0]),
    late=st.sampled_from([0.0, 300.0]),
)
# A job is saved so often at least, on its way through.
FEWEST_SAVES: Final = 5
ARMED: Final = st.sampled_from([(method, fault) for method in FAULTS for fault in FAULTS[method]])


def require(wrong: list[str]) -> None:
    """Errors: AssertionError that says all of what is wrong."""
    if wrong:
        raise AssertionError("; ".join(wrong))


class GatewayMachine(RuleBasedStateMachine):
    """Clients of two owners, and everything that can happen to them.

    ``met`` counts what all stories met.
    """

    met: ClassVar[Counter[str]] = Counter()

    @initialize(armed=st.lists(ARMED, max_size=20), fates=st.lists(FATES, max_size=8))
    def begin(self, armed: list[tuple[str, Fault]], fates: list[Fate]) -> None:
        """An empty gateway, and what Google will do, sooner or later."""
        self.world = World()
        self.model = Model()
        self.listed_at = -1
        for each in armed:
            self.google_fails(each)
        for fate in fates:
            self.google_means_otherwise(fate)

    def teardown(self) -> None:
        """Everything comes to its end once all goes well again; then leave nothing."""
        if not hasattr(self, "world"):
            return
        try:
            self.finish()
        finally:
            self.met.update(self.world.google.met)
            self.met.update(f"a batch {batch.status}" for batch in self.model.batches)
            self.met["crashes"] += self.world.crashes
            self.met["jobs taken"] += self.world.robberies
            self.world.close()

    def ask(self, key: str, method: str, path: str, **content: Any) -> Any:
        """The answer to a client; None when the process died over it and was started again."""
        answer = self.world.request(key, method, path, **content)
        self.revive()
        return answer

    def persist(self, key: str, method: str, path: str, **content: Any) -> Any:
        """The answer to a client that asks again when its connection breaks."""
        answer = self.ask(key, method, path, **content)
        return self.ask(key, method, path, **content) if answer is None else answer

    def revive(self) -> None:
        """Start again what has died."""
        if not self.world.is_up:
            self.world.start()

    # What clients do

    @rule(key=st.sampled_from(list(OWNERS)), kinds=INPUTS)
    def upload(self, key: str, kinds: list[Kind]) -> None:
        """A file."""
        self.upload_lines(key, kinds)

    @rule(key=st.sampled_from(list(OWNERS)), kinds=INPUTS)
    def submit(self, key: str, kinds: list[Kind]) -> None:
        """A file, and a batch over it."""
        file = self.upload_lines(key, kinds)
        if file is not None:
            self.create_over(file)

    def upload_lines(self, key: str, kinds: list[Kind]) -> KnownFile | None:
        """Upload; None when no answer came."""
        document = self.document(key) if Kind.NAMED in kinds else None
        if document is None:
            kinds = [Kind.FLASH if kind is Kind.NAMED else kind for kind in kinds]
        file = KnownFile("", key, self.model.lines(kinds, document))
        form = {"files": {"file": ("input.jsonl", file.content)}, "data": {"purpose": "batch"}}
        answer = self.ask(key, "POST", "/v1/files", **form)
        if answer is None:
            return None
        assert answer.status_code == 200, answer.text
        file.id = answer.json()["id"]
        self.model.files.append(file)
        return file

    def document(self, key: str) -> str | None:
        """A file of this owner's that lines name; None when no answer to its upload came."""
        if key not in self.model.documents:
            form = {"files": {"file": ("a.txt", b"words")}, "data": {"purpose": "user_data"}}
            answer = self.ask(key, "POST", "/v1/files", **form)
            if answer is None:
                return None
            assert answer.status_code == 200, answer.text
            self.model.documents[key] = answer.json()["id"]
        return self.model.documents[key]

    @precondition(lambda self: self.model.files)
    @rule(data=st.data())
    def create(self, data: st.DataObject) -> None:
        """A batch over some file."""
        self.create_over(data.draw(st.sampled_from(self.model.files)))

    def create_over(self, file: KnownFile) -> None:
        """Create; a client whose connection breaks asks again, with its idempotency key."""
        self.model.made += 1
        body = {"input_file_id": file.id, "endpoint": ENDPOINT, "completion_window": "24h"}
        headers = {"idempotency-key": f"wish-{self.model.made}"}
        answer = self.persist(file.key, "POST", "/v1/batches", json=body, headers=headers)
        if file.deleted:
            assert answer.status_code == 400, answer.text
            return
        assert answer.status_code == 200, answer.text
        seen = answer.json()
        assert seen["id"] not in {batch.id for batch in self.model.batches}
        self.model.batches.append(KnownBatch(seen["id"], file.key, file, self.window_end(), seen))

    @precondition(lambda self: self.model.batches)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A batch, whether it has ended or not."""
        batch = data.draw(st.sampled_from(self.model.batches))
        self.look(batch)
        path = f"/v1/batches/{batch.id}/cancel"
        if not batch.ended and batch.cancelled is None:
            batch.cancelled = self.world.clock.seconds
        answer = self.persist(batch.key, "POST", path)
        expected = 409 if batch.status in ENDS - {"cancelled"} else 200
        self.look(batch)
        if not (batch.ended and batch.cancelled is not None):  # it may have ended meanwhile
            assert answer.status_code == expected, answer.text

    @precondition(lambda self: self.ended_batches() and self.world.process.life.fuse is None)
    @rule(data=st.data(), include=st.sampled_from(["retryable", "all"]))
    def retry(self, data: st.DataObject, include: str) -> None:
        """What failed of a batch, as a batch of its own: no line that was answered among it."""
        self.retry_of(data.draw(st.sampled_from(self.ended_batches())), include)

    def retry_of(self, batch: KnownBatch, include: str) -> None:
        """Ask for a batch of what failed of this one."""
        path = f"/v1/batches/{batch.id}/retry"
        answer = self.ask(batch.key, "POST", path, json={"include": include})
        if answer.status_code != 200:
            nothing = self.content(batch, "error") == b"" or include == "retryable"
            assert answer.status_code == (409 if batch.file.deleted else 400), answer.text
            assert batch.file.deleted or nothing, answer.text
            return
        seen = answer.json()
        file = self.model.find(seen["input_file_id"]) or self.failed_lines(batch, seen)
        self.model.batches.append(KnownBatch(seen["id"], batch.key, file, self.window_end(), seen))
        self.met["batches of what failed"] += 1

    def window_end(self) -> float:
        """When the window of a batch ends that was made by now, on the wall clock."""
        return self.world.clock.now() / 1000 + WINDOW

    def failed_lines(self, batch: KnownBatch, seen: dict[str, Any]) -> KnownFile:
        """The file that a retry has made: whole lines of the batch's input, none answered."""
        path = f"/v1/files/{seen['input_file_id']}/content"
        rows = self.ask(batch.key, "GET", path).content.splitlines()
        failed = {orjson.loads(row)["custom_id"] for row in rows}
        lines = [line for line in batch.file.lines if line.custom_id in failed]
        assert [line.to_json().rstrip() for line in lines] == rows
        done = self.content(batch, "output").splitlines()
        assert not failed & {orjson.loads(row)["custom_id"] for row in done}
        file = KnownFile(seen["input_file_id"], batch.key, lines)
        self.model.files.append(file)
        return file

    @precondition(lambda self: self.ended_batches() and self.world.process.life.fuse is None)
    @rule(data=st.data())
    def rerender(self, data: st.DataObject) -> None:
        """The files of an ended batch anew: each line once, and no answer less than there was."""
        self.rendered_again(data.draw(st.sampled_from(self.ended_batches())))

    def rendered_again(self, batch: KnownBatch) -> None:
        """Ask for the files of this one anew; its raw results may be gone by now."""
        answer = self.ask(batch.key, "POST", f"/v1/batches/{batch.id}/rerender")
        assert answer.status_code in {200, 409}, answer.text
        if answer.status_code == 200:
            self.look_again(batch, answer.json())

    def look_again(self, batch: KnownBatch, seen: dict[str, Any]) -> None:
        """Judge new files of a batch; what it ended with has not changed."""
        assert seen["output_file_id"] == batch.seen["output_file_id"]
        assert seen["error_file_id"] == batch.seen["error_file_id"]
        made = seen["gateway"]["rerendered"][-1]
        output, errors = (self.bytes_of(batch.key, made[f"{each}_file_id"]) for each in FILES)
        both = [orjson.loads(row)["custom_id"] for row in [*output, *errors]]
        assert sorted(both) == sorted(line.custom_id for line in batch.file.lines)
        assert {*self.content(batch, "output").splitlines()} <= {*output}
        batch.seen = seen
        self.met["files written again"] += 1

    def bytes_of(self, key: str, file_id: str | None) -> list[bytes]:
        """The lines of a file."""
        if file_id is None:
            return []
        return list(self.ask(key, "GET", f"/v1/files/{file_id}/content").content.splitlines())

    def ended_batches(self) -> list[KnownBatch]:
        """Those whose end was seen."""
        return [batch for batch in self.model.batches if batch.ended]

    @precondition(lambda self: self.model.files)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """A file, whether a live batch reads it or not."""
        file = data.draw(st.sampled_from(self.model.files))
        for batch in self.model.batches:
            self.look(batch)
        answer = self.ask(file.key, "DELETE", f"/v1/files/{file.id}")
        if answer is None:
            answer = self.ask(file.key, "DELETE", f"/v1/files/{file.id}")
            file.deleted = file.deleted or not self.model.is_read(file)
            return
        expected = 200
        if file.deleted:
            expected = 404
        elif self.model.is_read(file):
            expected = 409
        assert answer.status_code == expected, answer.text
        file.deleted = file.deleted or answer.status_code == 200

    # What happens to the gateway

    @rule(seconds=st.sampled_from([1, 5, 30, 120]))
    def moments_pass(self, seconds: int) -> None:
        """The gateway works for a while."""
        self.time_passes(seconds)

    @rule(seconds=st.sampled_from([600, HOUR, 7 * HOUR]))
    def hours_pass(self, seconds: int) -> None:
        """The gateway works for long."""
        self.time_passes(seconds)

    def time_passes(self, seconds: int) -> None:
        """The gateway works; when it dies over that, it is started again at once."""
        self.world.advance(seconds)
        self.revive()

    @rule(seconds=st.sampled_from([2, 20]))
    def disk_is_full(self, seconds: int) -> None:
        """Nothing can be written for a while; then the gateway goes on by itself."""
        self.world.fill_disk(seconds)
        self.revive()

    @rule(armed=ARMED)
    def google_fails(self, armed: tuple[str, Fault]) -> None:
        """The next call of a kind meets a fault."""
        method, fault = armed
        self.world.google.faults[method].append(fault)

    @rule(fate=FATES)
    def google_means_otherwise(self, fate: Fate) -> None:
        """The next job has another fate."""
        self.world.google.fates.append(fate)

    @rule(key=st.sampled_from(sorted(KEYS)), down=st.sampled_from([0, 60, 7 * HOUR]))
    def start_with_key(self, key: str, down: int) -> None:
        """The process is stopped, and some time later started with another key."""
        self.world.stop()
        self.world.google.key = key
        self.world.clock.seconds += down
        self.world.start()

    @rule(down=st.sampled_from([0, 1, 600, 7 * HOUR]))
    def crash(self, down: int) -> None:
        """The power goes, and comes back."""
        self.world.crash()
        self.world.clock.seconds += down
        self.world.start()

    @rule(calls=st.integers(1, 120))
    def crash_soon(self, calls: int) -> None:
        """The process dies at one of its next calls of a port."""
        self.world.process.life.fuse = calls

    @rule(saves=st.integers(1, 12))
    def another_holder_takes_a_job(self, saves: int) -> None:
        """The lease of a step runs out under it, as that of a replica that stood still."""
        self.world.process.life.robber = saves

    @rule(hours=st.sampled_from([-2, -0.02, 0.02, 2]))
    def clock_is_set(self, hours: float) -> None:
        """The wall clock jumps."""
        self.world.set_clock(hours * HOUR)

    @rule()
    def sweep(self) -> None:
        """Unused bytes are removed."""
        self.world.sweep()
        self.revive()

    # What must be so after each of these

    @invariant()
    def all_is_as_promised(self) -> None:
        """At Google: one accepted job for each planned one, nothing paid twice or deleted unread.

        To clients: statuses, counts, usage, files, and that each batch ends in its time.
        """
        if not hasattr(self, "world"):
            return
        self.met["steps"] += 1
        require(self.world.google.wrong)
        # A row that has not changed since is not read again: what it says was judged then.
        if self.listed_at != self.world.changes:
            self.listed_at = self.world.changes
            for key in OWNERS:
                self.list_batches(key)
        require([f"{batch} has not ended" for batch in self.model.batches if self.is_late(batch)])

    def list_batches(self, key: str) -> None:
        """Every batch of an owner is listed, the newest first, and is as it may be."""
        answer = self.persist(key, "GET", "/v1/batches?limit=100")
        listed = {seen["id"]: seen for seen in answer.json()["data"]}
        mine = [batch for batch in self.model.batches if batch.key == key]
        assert list(listed) == [batch.id for batch in reversed(mine)]
        for batch in mine:
            self.note(batch, listed[batch.id])

    def look(self, batch: KnownBatch) -> None:
        """Retrieve a batch."""
        path = f"/v1/batches/{batch.id}"
        answer = self.persist(batch.key, "GET", path)
        self.note(batch, answer.json())

    def note(self, batch: KnownBatch, seen: dict[str, Any]) -> None:
        """Judge what is seen of a batch; and its files, once it has ended."""
        require(see(batch, seen))
        counts = seen["request_counts"]
        google = self.world.google
        numbers = range(1, len(batch.file.lines) + 1)
        delivered = {str(n): google.delivered(batch.id, str(n)) for n in numbers}
        assert counts["completed"] <= sum(delivered.values()), f"more than Google answered: {seen}"
        if seen["status"] in ENDS and not batch.ended:
            batch.ended = True
            output, errors = self.content(batch, "output"), self.content(batch, "error")
            require(judge_end(batch, output, errors, delivered))

    def content(self, batch: KnownBatch, name: str) -> bytes:
        """A file that a batch ended with."""
        file_id = batch.seen[f"{name}_file_id"]
        if file_id is None:
            return b""
        path = f"/v1/files/{file_id}/content"
        answer = self.persist(batch.key, "GET", path)
        assert answer.status_code == 200, answer.text
        return bytes(answer.content)

    def is_late(self, batch: KnownBatch) -> bool:
        """Whether it should have ended, while the gateway was up.

        Its window ends by the wall clock, which clients are told of (``expires_at``): set back, it
        lasts longer; set on, it may end at that moment.
        """
        if batch.ended:
            return False
        clock = self.world.clock
        over_for = clock.now() / 1000 - batch.expires
        due = max(clock.seconds - over_for, self.world.clock_set_at)
        if batch.cancelled is not None:
            due = batch.cancelled
        begun = max(due, self.world.started_at)
        return clock.seconds > begun + ENDING + GRACE

    def finish(self) -> None:
        """All goes well from now on: every batch ends in its time."""
        self.world.google.heal()
        self.world.process.life.fuse = None
        self.world.process.life.robber = None
        self.world.stop()
        self.world.start()
        for _ in range(60):
            self.all_is_as_promised()
            if all(batch.ended for batch in self.model.batches):
                return
            self.world.advance(HOUR)
        raise AssertionError(f"batches that never end: {self.model.batches}")


TestGateway = GatewayMachine.TestCase
TestGateway.settings = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    # A story that goes wrong is told as it was: the shortest one takes minutes to find. For that
    # there is tests/campaigns/simulate.py.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("saves", range(1, 13))
def test_what_a_holder_does_without_its_claim_is_not_written(saves: int) -> None:
    """Another holder takes the job before one of its saves: the batch is whole all the same."""
    machine = GatewayMachine()
    machine.begin([], [])
    machine.submit("sk-ann", [Kind.FLASH, Kind.FLASH])
    machine.another_holder_takes_a_job(saves)
    try:
        for _ in range(200):
            machine.all_is_as_promised()
            if all(batch.ended for batch in machine.model.batches):
                break
            machine.world.advance(60)
        robbed = machine.world.process.life.robberies
        assert [batch.status for batch in machine.model.batches] == ["completed"]
    finally:
        machine.teardown()
    assert robbed or saves > FEWEST_SAVES


def test_a_storys_blobs_are_in_both_places() -> None:
    """One line is small enough for the records; many are a file."""
    machine = GatewayMachine()
    machine.begin([], [])
    machine.submit("sk-ann", [Kind.FLASH])
    machine.submit("sk-ann", [Kind.FLASH] * 40)
    try:
        for _ in range(200):
            machine.all_is_as_promised()
            if all(batch.ended for batch in machine.model.batches):
                break
            machine.world.advance(60)
        recorded, files = machine.world.places
        assert [batch.status for batch in machine.model.batches] == ["completed"] * 2
    finally:
        machine.teardown()
    assert recorded
    assert files


def test_what_failed_is_sent_again_and_files_are_written_again() -> None:
    """Lines that name a file among them, and a full disk meanwhile."""
    machine = GatewayMachine()
    machine.met.clear()
    machine.begin([("stage_file", Fault.UNAVAILABLE)], [Fate(), Fate(items=(Item.LASTING,))])
    try:
        machine.submit("sk-ann", [Kind.NAMED, Kind.NAMED, Kind.REFUSED])
        machine.disk_is_full(20)
        machine.moments_pass(600)
        machine.all_is_as_promised()
        [batch] = machine.model.batches
        assert batch.seen["request_counts"] == {"total": 3, "completed": 1, "failed": 2}

        machine.rendered_again(batch)
        machine.retry_of(batch, "all")
        machine.moments_pass(600)
        machine.all_is_as_promised()

        again = machine.model.batches[-1]
        assert again.seen["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
    finally:
        machine.teardown()
    assert machine.met["files written again"] == machine.met["batches of what failed"] == 1
    assert machine.world.google.met["stage_file: UNAVAILABLE"] == 1


@pytest.mark.parametrize("hours", [-2, 2])
def test_the_window_is_the_wall_clocks(hours: int) -> None:
    """A batch that was made while the clock was wrong ends when the clock says so.

    Its job was being sent with a key whose project is never seen again.
    """
    machine = GatewayMachine()
    machine.begin([("create", Fault.LOST)], [])
    try:
        machine.start_with_key("other", 0)
        machine.clock_is_set(-hours)
        machine.submit("sk-ann", [Kind.FLASH])
        machine.moments_pass(5)
        machine.clock_is_set(hours)
        machine.start_with_key("first", 0)
        for _ in range(30):
            machine.all_is_as_promised()
            machine.hours_pass(HOUR)
        assert [batch.status for batch in machine.model.batches] == ["expired"]
    finally:
        machine.teardown()


@pytest.mark.parametrize("claiming", [True, False], ids=["it claims", "another holds it"])
def test_a_cancel_meets_a_validation_that_has_no_claim_yet(
    monkeypatch: pytest.MonkeyPatch, claiming: bool
) -> None:
    """Found: its lease stayed behind, and the batch was asked for again without a pause."""
    machine = GatewayMachine()
    machine.begin([], [])
    store, runner = machine.world.process.store, machine.world.process.runner
    claim = store.claim_batch

    async def cancelled_meanwhile(batch_id: str, lease: int) -> Batch | None:
        claimed = None if claiming else await claim(batch_id, HOUR * 1000)
        monkeypatch.undo()
        if claiming:
            claimed = await claim(batch_id, lease)
        await store.request_cancel("ann", batch_id, machine.world.clock.now())
        runner.wake()
        for _ in range(20):
            await asyncio.sleep(0)
        return claimed if claiming else None

    monkeypatch.setattr(store, "claim_batch", cancelled_meanwhile)
    try:
        machine.submit("sk-ann", [Kind.FLASH])
        machine.moments_pass(60)
        [batch] = machine.model.batches
        batch.cancelled = machine.world.clock.seconds
        machine.all_is_as_promised()
        assert batch.status == ("cancelled" if claiming else "cancelling")
        machine.hours_pass(2 * HOUR)
        machine.all_is_as_promised()
        assert batch.status == "cancelled"
    finally:
        machine.teardown()


@pytest.mark.parametrize("fault", [Fault.GARBAGE, Fault.CUT])
def test_what_a_cancelled_job_served_is_asked_for_again(fault: Fault) -> None:
    """Found: a page of some proxy's was taken for its results, and what was paid for was lost."""
    machine = GatewayMachine()
    machine.begin([("fetch", fault)], [Fate(end="CANCELLED")])
    try:
        machine.submit("sk-ann", [Kind.FLASH] * 2)
        machine.moments_pass(600)
        machine.all_is_as_promised()
        [batch] = machine.model.batches
        assert batch.seen["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
    finally:
        machine.teardown()


def test_a_full_disk_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Every step that waited wrote a line each second, to a disk that may be the full one."""
    machine = GatewayMachine()
    machine.begin([], [])
    try:
        for _ in range(3):
            machine.submit("sk-ann", [Kind.FLASH] * 7)
        machine.moments_pass(5)
        machine.disk_is_full(300)
        told = [each for each in caplog.messages if "waits for the records" in each]
        assert 1 <= len(told) <= 6
    finally:
        machine.teardown()


def test_a_loop_that_only_reads_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that calls no port that changes anything, and lets no time pass."""

    async def more_may_start(*_: object) -> bool:
        return True

    world = World()
    try:
        monkeypatch.setattr(Runner, "_start_due", more_may_start)
        with pytest.raises(AssertionError, match="a hot loop"):
            world.advance(60)
    finally:
        monkeypatch.undo()
        world.close()
