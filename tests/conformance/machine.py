"""Files and batches of any store against a small model, driven by Hypothesis.

A subclass says how to make a store: :meth:`StoreMachine.make`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.batches.batch import LIVE_STATUSES, Batch, BatchStatus
from gateway.batches.file import File, Segment
from gateway.ports.store import Deletion, Page, Store
from tests.conformance.moments import claim_batch_at
from tests.conformance.records import OTHER, OWNER, a_batch, a_file

T = TypeVar("T", File, Batch)
R = TypeVar("R")

OWNERS = st.sampled_from([OWNER, OTHER])
PURPOSES = st.sampled_from(["batch", "batch_output"])


@dataclass
class Model:
    """What a store should know, in lists ordered by age."""

    now: int = 1_000
    files: list[File] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)  # ids of deleted files

    def current(self, file: File) -> bool:
        """Whether a file can be had."""
        expired = file.expires_at is not None and file.expires_at <= self.now
        return file.id not in self.gone and not expired

    def is_read(self, file: File) -> bool:
        """Whether a live batch has it as its input."""
        live = (batch for batch in self.batches if batch.status in LIVE_STATUSES)
        return any(batch.input_file_id == file.id for batch in live)


def stretch(rows: list[T], every: list[T], after: T | None, limit: int) -> tuple[list[str], bool]:
    """The page of ``rows`` behind ``after`` in the order of ``every``."""
    position = -1 if after is None else every.index(after)
    behind = [row.id for row in rows if every.index(row) > position]
    return behind[:limit], len(behind) > limit


def shown(page: Page[T] | None) -> tuple[list[str], bool] | None:
    """A page in the same words."""
    return None if page is None else ([row.id for row in page.data], page.has_more)


class StoreMachine(RuleBasedStateMachine):
    """Anything a client may do, in any order."""

    make: Callable[[], Awaitable[Store]]

    @initialize()
    def begin(self) -> None:
        """An empty store."""
        self.runner = asyncio.Runner()
        self.model = Model()
        self.made = 0
        self.store = self.run(self.make())

    def run(self, call: Awaitable[R]) -> R:
        """The answer of the store."""

        async def answer() -> R:
            return await call

        return self.runner.run(answer())

    def teardown(self) -> None:
        """Let go of the store."""
        if hasattr(self, "store"):
            self.run(self.store.close())
            self.runner.close()

    def name(self) -> str:
        """A new one."""
        self.made += 1
        return str(self.made)

    @rule(owner=OWNERS, purpose=PURPOSES, life=st.none() | st.integers(1, 50))
    def add_file(self, owner: str, purpose: str, life: int | None) -> None:
        """An upload."""
        name = self.name()
        self.run(self.store.register_blob(f"blob-{name}", self.model.now))
        file = a_file(
            name,
            owner=owner,
            purpose=purpose,
            created_at=self.model.now,
            expires_at=None if life is None else self.model.now + life,
            segments=(Segment(f"blob-{name}", 1000),),
        )
        self.model.files.append(self.run(self.store.add_file(file)))

    @precondition(lambda self: self.model.files)
    @rule(data=st.data(), owner=OWNERS)
    def delete_file(self, data: st.DataObject, owner: str) -> None:
        """A deletion, also of what is gone or another's."""
        file = data.draw(st.sampled_from(self.model.files))
        expected = Deletion.DELETED
        if owner != file.owner or not self.model.current(file):
            expected = Deletion.MISSING
        elif self.model.is_read(file):
            expected = Deletion.IN_USE
        else:
            self.model.gone.add(file.id)
        assert self.run(self.store.delete_file(owner, file.id, self.model.now)) is expected

    @rule(forward=st.integers(1, 30))
    def time_passes(self, forward: int) -> None:
        """Files may expire."""
        self.model.now += forward

    @rule(limit=st.integers(1, 3))
    def expire_files(self, limit: int) -> None:
        """The sweeper removes what expired and is not read, the longest expired first."""
        expired = [
            file
            for file in self.model.files
            if file.id not in self.model.gone
            and not self.model.current(file)
            and not self.model.is_read(file)
        ]
        expected = min(limit, len(expired))
        assert self.run(self.store.expire_files(self.model.now, limit)) == expected
        for file in expired:
            row = self.run(self.store.known_blobs([file.segments[0].blob]))
            assert row, "an expiry leaves the blob deletable, it does not forget it"
        self.sync_expired(expired, expected)

    def sync_expired(self, expired: list[File], count: int) -> None:
        """Equal moments may go in any order: learn from the deletable blobs which went."""
        deletable = set(self.run(self.store.sweepable_blobs(self.model.now + 1, 1_000)))
        went = {file.id for file in expired if file.segments[0].blob in deletable}
        assert len(went) == count
        self.model.gone |= went

    @precondition(lambda self: self.model.files)
    @rule(
        data=st.data(),
        owner=OWNERS,
        key=st.none() | st.sampled_from(["k1", "k2"]),
        fingerprint=st.none() | st.sampled_from(["f1", "f2"]),
        window=st.none() | st.integers(0, 40),
    )
    def add_batch(
        self,
        data: st.DataObject,
        owner: str,
        key: str | None,
        fingerprint: str | None,
        window: int | None,
    ) -> None:
        """A create, perhaps repeated."""
        file = data.draw(st.sampled_from(self.model.files))
        since = None if window is None else self.model.now - window
        batch = a_batch(
            self.name(),
            owner=owner,
            input_file_id=file.id,
            created_at=self.model.now,
            idempotency_key=key,
            fingerprint=fingerprint,
        )
        same = self.same(batch, since)
        answer = self.run(self.store.add_batch(batch, same_since=since))
        if same is not None:
            assert answer == same
        elif owner != file.owner or not self.model.current(file):
            assert answer is None
        else:
            assert answer is not None
            assert answer.id == batch.id
            self.model.batches.append(answer)

    def same(self, batch: Batch, since: int | None) -> Batch | None:
        """The earlier batch that a create should find."""
        mine = [other for other in self.model.batches if other.owner == batch.owner]
        for other in mine:
            if batch.idempotency_key is not None and other.idempotency_key == batch.idempotency_key:
                return other
        alike = [
            other
            for other in mine
            if since is not None
            and batch.fingerprint is not None
            and other.fingerprint == batch.fingerprint
            and other.cancel_requested_at is None
            and other.status in LIVE_STATUSES
            and other.created_at >= since
        ]
        return alike[-1] if alike else None

    @precondition(lambda self: self.model.batches)
    @rule(data=st.data(), owner=OWNERS)
    def cancel(self, data: st.DataObject, owner: str) -> None:
        """A wish, heard once, while there is something to cancel."""
        index = data.draw(st.integers(0, len(self.model.batches) - 1))
        batch = self.model.batches[index]
        answer = self.run(self.store.request_cancel(owner, batch.id, self.model.now))
        if owner != batch.owner:
            assert answer is None
            return
        assert answer is not None
        expected = batch.cancel_requested_at
        if expected is None and batch.status in LIVE_STATUSES:
            expected = self.model.now
        assert answer.cancel_requested_at == expected
        self.model.batches[index] = answer

    @precondition(lambda self: self.model.batches)
    @rule(data=st.data(), status=st.sampled_from(BatchStatus))
    def move(self, data: st.DataObject, status: BatchStatus) -> None:
        """The runner writes a status; a terminal one stays."""
        index = data.draw(st.integers(0, len(self.model.batches) - 1))
        batch = self.model.batches[index]
        claimed = self.run(
            claim_batch_at(self.store, batch.id, self.model.now, self.model.now + 60_000)
        )
        assert (claimed is not None) == (batch.status in LIVE_STATUSES)
        if claimed is not None:
            values = {name: getattr(claimed, name) for name in Batch.__slots__}
            assert self.run(self.store.save_batch(Batch(**{**values, "status": status})))
            stored = self.run(self.store.get_batch(batch.owner, batch.id))
            assert stored is not None
            assert stored.status is status
            self.model.batches[index] = stored

    @precondition(lambda self: self.model.files)
    @rule(
        data=st.data(),
        owner=OWNERS,
        purpose=st.none() | PURPOSES,
        limit=st.integers(1, 4),
        ascending=st.booleans(),
    )
    def list_files(
        self, data: st.DataObject, owner: str, purpose: str | None, limit: int, ascending: bool
    ) -> None:
        """A page behind any cursor: nobody's, a tombstone, another owner's."""
        after = data.draw(st.none() | st.sampled_from(self.model.files))
        page = self.run(
            self.store.list_files(
                owner,
                self.model.now,
                limit=limit,
                after=None if after is None else after.id,
                purpose=purpose,
                ascending=ascending,
            )
        )
        every = self.model.files if ascending else self.model.files[::-1]
        rows = [
            file
            for file in every
            if file.owner == owner and self.model.current(file) and purpose in {None, file.purpose}
        ]
        foreign = after is not None and after.owner != owner
        assert shown(page) == (None if foreign else stretch(rows, every, after, limit))

    @precondition(lambda self: self.model.batches)
    @rule(data=st.data(), owner=OWNERS, limit=st.integers(1, 4))
    def list_batches(self, data: st.DataObject, owner: str, limit: int) -> None:
        """A page behind any cursor."""
        after = data.draw(st.none() | st.sampled_from(self.model.batches))
        cursor = None if after is None else after.id
        page = self.run(self.store.list_batches(owner, limit=limit, after=cursor))
        every = self.model.batches[::-1]
        rows = [batch for batch in every if batch.owner == owner]
        foreign = after is not None and after.owner != owner
        assert shown(page) == (None if foreign else stretch(rows, every, after, limit))

    @invariant()
    def files_are_as_the_model_says(self) -> None:
        """Each file, as its owner sees it."""
        if not hasattr(self, "store"):
            return
        for file in self.model.files:
            answer = self.run(self.store.get_file(file.owner, file.id, self.model.now))
            assert answer == (file if self.model.current(file) else None)

    @invariant()
    def batches_are_as_the_model_says(self) -> None:
        """Each batch, as its owner sees it."""
        if not hasattr(self, "store"):
            return
        for batch in self.model.batches:
            assert self.run(self.store.get_batch(batch.owner, batch.id)) == batch

    @invariant()
    def exactly_the_blobs_of_gone_files_are_deletable(self) -> None:
        """Nothing more, nothing less."""
        if not hasattr(self, "store"):
            return
        deletable = set(self.run(self.store.sweepable_blobs(2**60, 1_000)))
        gone = (file for file in self.model.files if file.id in self.model.gone)
        assert deletable == {segment.blob for file in gone for segment in file.segments}
