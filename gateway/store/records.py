"""The store's methods, each one transaction on whatever engine there is."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from gateway.batches.admission import Sent, Waiting
from gateway.batches.batch import Batch, Counts, TokenUsage
from gateway.batches.figures import Figures
from gateway.batches.file import File
from gateway.batches.job import Job, JobState
from gateway.batches.limits import Estimate, OwnerLimits, Used
from gateway.batches.outlook import ModelQueue
from gateway.batches.quota import Quota
from gateway.batches.response import DueQueue, StoredResponse
from gateway.batches.staging import NamedFile, StagedFile
from gateway.batches.upload import Part, Upload
from gateway.batches.webhooks import Delivery, WebhookEndpoint
from gateway.clock import Clock
from gateway.ids import new_gateway_id
from gateway.ports.store import (
    ALL_TIME,
    NO_FILES,
    NOTHING_NAMED,
    BlobChange,
    Claimed,
    Deletion,
    Page,
    RescueAnswer,
    RescueBegin,
    RescueCall,
    Seal,
    Work,
)
from gateway.store import (
    batches,
    blobs,
    files,
    keys,
    leases,
    limits,
    quotas,
    rescue,
    responses,
    retention,
    staging,
    uploads,
    webhooks,
)
from gateway.store import jobs as job_rows
from gateway.store.session import Engine, Session


class Records:
    """The gateway's records on an engine.

    ``clock`` gives the time at which a save makes blobs deletable, the only time no caller passes.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def open(self, now: int) -> None:
        """Connect, with the schema brought up to date."""
        await self._engine.open(now)

    async def close(self) -> None:
        """Finish pending writes and disconnect."""
        await self._engine.close()

    async def gateway_id(self) -> str:
        """Return the random id made when the store was."""
        return await self._engine.write(gateway_id)

    # Blobs

    async def register_blob(self, name: str, now: int, seal: Seal | None = None) -> None:
        """Record a name as pending."""
        await self._engine.once(lambda session: blobs.register(session, name, now, seal))

    async def blob_seal(self, name: str) -> Seal | None:
        """Return what a blob's bytes must be."""
        return await self._engine.read(lambda session: blobs.seal_of(session, name))

    async def sweepable_blobs(
        self, before: int, limit: int, *, pending_before: int | None = None
    ) -> Sequence[str]:
        """Names deletable or pending for too long; nothing can point at them any more."""
        pending = before if pending_before is None else pending_before
        return await self._engine.write(
            lambda session: blobs.sweepable(session, before, pending, limit)
        )

    async def forget_blobs(self, names: Sequence[str]) -> None:
        """Remove the rows of blobs whose bytes are gone."""
        await self._engine.write(lambda session: blobs.forget(session, names))

    async def known_blobs(self, names: Sequence[str]) -> set[str]:
        """Those of the names that have a row."""
        return await self._engine.read(lambda session: blobs.known(session, names))

    # Files

    async def add_file(self, file: File) -> File:
        """Insert; its segments' blobs go live."""
        return await self._engine.write(lambda session: files.add(session, file))

    async def get_file(self, owner: str, file_id: str, now: int) -> File | None:
        """Return a file that is neither deleted nor expired."""
        return await self._engine.read(lambda session: files.current(session, owner, file_id, now))

    async def file_by_id(self, file_id: str) -> File | None:
        """Return a file that is not deleted."""
        return await self._engine.read(lambda session: files.by_id(session, file_id))

    async def list_files(
        self,
        owner: str,
        now: int,
        *,
        limit: int,
        after: str | None = None,
        purpose: str | None = None,
        ascending: bool = False,
    ) -> Page[File] | None:
        """Files by ``seq``; None when ``after`` is unknown."""
        return await self._engine.read(
            lambda session: files.page(
                session,
                owner,
                now,
                limit=limit,
                after=after,
                purpose=purpose,
                ascending=ascending,
            )
        )

    async def delete_file(self, owner: str, file_id: str, now: int) -> Deletion:
        """Leave a tombstone, the blobs deletable, unless a live batch reads the file."""
        return await self._engine.write(lambda session: files.delete(session, owner, file_id, now))

    async def expire_files(self, now: int, limit: int) -> int:
        """Delete files past their expiry that no live batch reads; how many."""
        return await self._engine.write(lambda session: files.expire(session, now, limit))

    # Uploads

    async def add_upload(self, upload: Upload) -> None:
        """Insert."""
        await self._engine.write(lambda session: uploads.add(session, upload))

    async def get_upload(self, owner: str, upload_id: str) -> Upload | None:
        """Return an upload, ended or not."""
        return await self._engine.read(lambda session: uploads.owned(session, owner, upload_id))

    async def add_part(self, owner: str, part: Part, now: int) -> bool:
        """Insert a part of a pending upload; its blob goes live, sealed."""
        return await self._engine.write(lambda session: uploads.add_part(session, owner, part, now))

    async def parts_of(self, upload: Upload) -> Sequence[Part]:
        """Every part of an upload that has not ended."""
        return await self._engine.read(lambda session: uploads.parts(session, upload.id))

    async def complete_upload(self, upload: Upload, file: File, now: int) -> File | None:
        """Insert the file of a pending upload over the blobs of its parts."""
        return await self._engine.write(
            lambda session: uploads.complete(session, upload, file, now)
        )

    async def cancel_upload(self, owner: str, upload_id: str, now: int) -> Upload | None:
        """Cancel a pending upload; the upload as it is now."""
        return await self._engine.write(
            lambda session: uploads.cancel(session, owner, upload_id, now)
        )

    async def add_response(self, response: StoredResponse, seal: Seal) -> None:
        """Insert a stored response; its blob goes live."""
        await self._engine.write(lambda session: responses.add(session, response, seal))

    async def get_response(self, owner: str, response_id: str, now: int) -> StoredResponse | None:
        """Return a stored response that has not expired."""
        return await self._engine.read(
            lambda session: responses.owned(session, owner, response_id, now)
        )

    async def delete_response(self, owner: str, response_id: str, now: int) -> bool:
        """Remove a stored response."""
        return await self._engine.write(
            lambda session: responses.delete(session, owner, response_id, now)
        )

    async def expire_responses(self, now: int, limit: int) -> int:
        """Remove stored responses whose time is over."""
        return await self._engine.write(lambda session: responses.expire(session, now, limit))

    async def queue_response(
        self, response: StoredResponse, seal: Seal, *, same_since: int, within: OwnerLimits
    ) -> StoredResponse:
        """Insert one that is made in the background, or the one that is asked for again."""
        return await self._engine.write(
            lambda session: responses.queue(session, response, seal, same_since, within)
        )

    async def note_response_used(self, owner: str, response_id: str, now: int) -> None:
        """Note that a client has the id."""
        await self._engine.write(
            lambda session: responses.note_used(session, owner, response_id, now)
        )

    async def cancel_response(
        self, owner: str, response_id: str, now: int
    ) -> StoredResponse | None:
        """Cancel one that is made in the background, unless it has ended."""
        return await self._engine.write(
            lambda session: responses.cancel(session, owner, response_id, now)
        )

    async def due_queues(self, now: int, limit: int) -> Sequence[DueQueue]:
        """Queues of responses whose window has ended, the longest due first."""
        return await self._engine.read(lambda session: responses.due_queues(session, now, limit))

    async def live_backgrounds(self) -> Mapping[str, int]:
        """Batches of such responses that have not ended, by owner."""
        return await self._engine.read(responses.live_batches)

    async def waiting_responses(self, queue: str, limit: int) -> Sequence[StoredResponse]:
        """Return the oldest of a queue."""
        return await self._engine.read(lambda session: responses.waiting(session, queue, limit))

    async def collect_responses(
        self, batch: Batch, file: File, last: StoredResponse, count: int
    ) -> bool:
        """Insert a batch of a queue's responses up to one, with its input."""
        return await self._engine.write(
            lambda session: responses.collect(session, batch, file, last, count)
        )

    async def undelivered_batches(self, limit: int) -> Sequence[Batch]:
        """Batches that have ended and whose answers are not written to their responses."""
        return await self._engine.read(lambda session: responses.undelivered(session, limit))

    async def responses_of(self, batch_id: str) -> Sequence[StoredResponse]:
        """Those of a batch's responses whose answers are not written."""
        return await self._engine.read(lambda session: responses.of_batch(session, batch_id))

    async def finish_response(self, response: StoredResponse, seal: Seal) -> bool:
        """Write the end of an open response; its blob goes live, the one before deletable."""
        now = self._clock.now()
        return await self._engine.write(
            lambda session: responses.finish(session, response, seal, now)
        )

    async def release_background(self, batch: Batch) -> None:
        """Note that the answers of a batch are written; its files go."""
        now = self._clock.now()
        await self._engine.write(lambda session: responses.release(session, batch, now))

    async def spend(self, owner: str, estimate: Estimate, within: OwnerLimits, now: int) -> None:
        """Note what a single request may cost at most."""
        await self._engine.write(
            lambda session: limits.spend(session, owner, estimate, within, now)
        )

    async def settle(self, owner: str, day: int, change: int) -> None:
        """Change what the single requests of an owner's day cost."""
        await self._engine.write(lambda session: limits.settle(session, owner, day, change))

    async def expire_uploads(self, now: int, limit: int) -> int:
        """End pending uploads whose hour is over."""
        return await self._engine.write(lambda session: uploads.expire(session, now, limit))

    # What outlives the end of a batch

    async def expire_raw(self, now: int, limit: int) -> int:
        """Release raw results and hints whose time is over; return of how many batches."""
        return await self._engine.write(lambda session: retention.expire_raw(session, now, limit))

    async def forget_records(self, before: int, limit: int) -> int:
        """Remove rows of batches ended and of files deleted before that time; how many."""
        return await self._engine.write(
            lambda session: retention.forget_records(session, before, limit)
        )

    # Batches, as requests see them

    async def add_batch(
        self,
        batch: Batch,
        *,
        same_since: int | None = None,
        within: OwnerLimits | None = None,
    ) -> Batch | None:
        """Insert, or the earlier batch that is the same; None without the input file."""
        return await self._engine.write(
            lambda session: batches.add(session, batch, same_since, within)
        )

    async def get_batch(self, owner: str, batch_id: str) -> Batch | None:
        """One batch."""
        return await self._engine.read(lambda session: batches.owned(session, owner, batch_id))

    async def get_batch_and_queues(
        self, owner: str, batch_id: str
    ) -> tuple[Batch, Sequence[ModelQueue]] | None:
        """Return a batch of this owner, with what its jobs wait for."""
        return await self._engine.read(
            lambda session: batches.with_queues(session, owner, batch_id)
        )

    async def list_batches(
        self, owner: str, *, limit: int, after: str | None = None
    ) -> Page[Batch] | None:
        """Batches, newest first; None when ``after`` is unknown."""
        return await self._engine.read(lambda session: batches.page(session, owner, limit, after))

    async def request_cancel(self, owner: str, batch_id: str, now: int) -> Batch | None:
        """Set ``cancel_requested_at`` on a live batch, once, and make it due."""
        return await self._engine.write(
            lambda session: batches.request_cancel(session, owner, batch_id, now)
        )

    async def note_used(self, owner: str, batch_ids: Sequence[str], now: int) -> None:
        """Note that a client has these ids."""
        await self._engine.write(lambda session: batches.note_used(session, owner, batch_ids, now))

    # The runner's side

    async def due_batches(self, now: int, limit: int) -> Sequence[Work]:
        """Batches whose own row is due, validations aside, each with its jobs at one moment."""
        found = []
        for batch in await self._engine.read(lambda session: batches.due(session, now, limit)):
            found.append(await self.load_work(batch.id))
            await asyncio.sleep(0)  # in between the loop may do something else
        return [work for work in found if work is not None]

    async def due_validations(self, now: int, limit: int) -> Sequence[tuple[Batch, int]]:
        """Batches that wait for their validation, and the bytes of their input."""
        return await self._engine.read(lambda session: batches.validations(session, now, limit))

    async def due_jobs(self, state: JobState, now: int, limit: int) -> Sequence[Work]:
        """Due jobs in a state, each with its batch."""
        return await self._engine.snapshot(lambda session: _due(session, state, now, limit))

    async def young_jobs(self, now: int, since: int, items: int, limit: int) -> Sequence[Work]:
        """Return due jobs of few items that began to run after that moment."""
        return await self._engine.snapshot(
            lambda session: _young(session, now, since, items, limit)
        )

    async def ending_jobs(self, now: int, limit: int) -> Sequence[Work]:
        """Return due jobs of batches that were cancelled or are overdue."""
        return await self._engine.snapshot(lambda session: _ending(session, now, limit))

    async def hurry_job(self, upstream_name: str) -> None:
        """Make the running job of that name due before all others."""
        await self._engine.write(lambda session: job_rows.hurry(session, upstream_name))

    async def waiting_jobs(self, now: int, limit: int) -> Sequence[Waiting]:
        """Jobs that wait to be sent and are due, some of each owner and model."""
        return await self._engine.read(lambda session: job_rows.waiting(session, now, limit))

    async def due_kinds(self, now: int) -> frozenset[str]:
        """Which kinds of rows are due."""
        return await self._engine.read(lambda session: batches.due_kinds(session, now))

    async def next_due(self, after: int = ALL_TIME) -> int | None:
        """When something becomes due."""
        return await self._engine.read(lambda session: batches.next_due(session, after))

    async def load_job(self, job_id: str) -> Work | None:
        """One job with its batch."""
        return await self._engine.snapshot(lambda session: _job(session, job_id))

    async def load_batch(self, batch_id: str) -> Batch | None:
        """One batch without its jobs, whatever its owner."""
        return await self._engine.read(lambda session: batches.by_id(session, batch_id))

    async def load_work(self, batch_id: str) -> Work | None:
        """One batch with its jobs, whatever its owner."""
        return await self._engine.snapshot(lambda session: _batch(session, batch_id))

    async def input_file(self, batch_id: str) -> File | None:
        """Return the input file of a batch, deleted or not."""
        return await self._engine.read(lambda session: files.input_of(session, batch_id))

    async def running_job(self, job: Job, submitted_before: int) -> Job | None:
        """Return some other job that must be in the upstream's listing where this one would be."""
        return await self._engine.read(
            lambda session: job_rows.running(session, job, submitted_before)
        )

    async def another_model_runs(self, job: Job, since: int) -> bool:
        """Whether a job of another model was accepted from the same key since then."""
        return await self._engine.read(
            lambda session: job_rows.another_model_runs(session, job, since)
        )

    async def owners(self) -> Mapping[str, tuple[int, int]]:
        """Every owner, with how many files and batches it has."""
        return await self._engine.read(files.owners)

    async def foreign_jobs(self, credential: str, made_by: str) -> int:
        """Count a credential's jobs that run upstream, or may, and that another key made."""
        return await self._engine.read(
            lambda session: job_rows.foreign(session, credential, made_by)
        )

    async def pull_in(self, now: int, latest: int) -> None:
        """Make due now what is due after ``latest``."""
        await self._engine.write(lambda session: _pull_in(session, now, latest))

    async def rest_batch(self, batch: Batch, due_at: int | None) -> None:
        """Set when the batch row is due next, if its ``due_at`` still is what was read."""
        await self._engine.once(lambda session: batches.rest(session, batch, due_at))

    async def claim_batch(self, batch_id: str, lease: int) -> Batch | None:
        """Take a live batch's row, raising its fence."""
        return await self._engine.once(lambda session: batches.claim(session, batch_id, lease))

    async def claim_job(self, job_id: str, lease: int) -> Job | None:
        """Take a job's row, raising its fence."""
        return await self._engine.once(lambda session: job_rows.claim(session, job_id, lease))

    async def admission_turn(self) -> str:
        """Return the turn of the admission."""
        return await self._engine.read(quotas.turn)

    async def claim_to_send(
        self, placed: Mapping[str, str], turn: str, lease: int
    ) -> Sequence[Job] | None:
        """Claim jobs that wait, unless the turn is over."""
        return await self._engine.write(
            lambda session: quotas.claim_to_send(session, placed, turn, lease)
        )

    async def renew_claims(self, rows: Sequence[Claimed], lease: int) -> set[str]:
        """Let leases last from now; ids of rows whose claim is no longer that."""
        return await self._engine.write(lambda session: leases.renew(session, rows, lease))

    async def now(self) -> int:
        """Return the time by which leases are measured."""
        return await self._engine.read(leases.now)

    async def listen(self, heard: Callable[[], None]) -> None:
        """Call ``heard`` when another process has made something due; for ever."""
        await self._engine.listen(heard)

    async def save_batch(
        self,
        batch: Batch,
        *,
        jobs: Sequence[Job] = (),
        named: Mapping[str, Mapping[str, str]] = NOTHING_NAMED,
        files: Sequence[File] = (),
        blobs: BlobChange = BlobChange(),
        keep: bool = False,
        within: tuple[OwnerLimits, Estimate] | None = None,
        sent_again: tuple[int, Counts] | None = None,
    ) -> bool:
        """Write the runner's columns of a claimed batch, guarded by its fence."""
        now = self._clock.now()
        return await self._engine.write(
            lambda session: batches.save(
                session,
                batch,
                jobs=jobs,
                named=named,
                files=files,
                blobs=blobs,
                keep=keep,
                within=within,
                sent_again=sent_again,
                now=now,
            )
        )

    async def longest_job(self, model: str) -> int:
        """Return the longest of a model's last jobs that ended well (ms)."""
        return await self._engine.read(lambda session: job_rows.longest(session, model))

    async def inline_mismatches(self, model: str, since: int) -> bool:
        """Whether the results of an inline job of a model did not match of late."""
        return await self._engine.read(
            lambda session: job_rows.inline_mismatches(session, model, since)
        )

    async def add_rerendered(
        self, batch_id: str, entry: Mapping[str, object], files: Sequence[File]
    ) -> Batch | None:
        """List new files of an ended batch on it."""
        return await self._engine.write(
            lambda session: batches.add_rerendered(session, batch_id, entry, files)
        )

    async def save_job(
        self,
        job: Job,
        *,
        counts: Counts = Counts(),
        usage: TokenUsage = TokenUsage(),
        blobs: BlobChange = BlobChange(),
        jobs: Sequence[Job] = (),
        named: Mapping[str, Sequence[str]] = NO_FILES,
        wake: bool = False,
        doubt_files: bool = False,
        paid_again: int | None = None,
        keep: bool = False,
    ) -> bool:
        """Write a claimed job, guarded by its fence."""
        now = self._clock.now()
        return await self._engine.write(
            lambda session: job_rows.save(
                session,
                job,
                counts=counts,
                usage=usage,
                blobs=blobs,
                jobs=jobs,
                named=named,
                wake=wake,
                doubt_files=doubt_files,
                paid_again=paid_again,
                keep=keep,
                now=now,
            )
        )

    # Synchronous calls near a deadline

    async def begin_rescue_call(self, job: Job, call: RescueCall, budget: int) -> RescueBegin:
        """Insert the row of a call before it is sent."""
        return await self._engine.write(lambda session: rescue.begin(session, job, call, budget))

    async def answer_rescue_call(self, job: Job, key: str, text: str, cost: int | None) -> None:
        """Keep an answer."""
        await self._engine.write(lambda session: rescue.answer(session, job, key, text, cost))

    async def withdraw_rescue_call(self, job: Job, key: str) -> None:
        """Forget a call that was not served."""
        await self._engine.write(lambda session: rescue.withdraw(session, job, key))

    async def lose_rescue_calls(self, job: Job, key: str = "") -> int:
        """Note that open calls will have no answer."""
        return await self._engine.write(lambda session: rescue.lose(session, job, key))

    async def rescue_keys(self, job_id: str) -> frozenset[str]:
        """Return the keys of the calls that were sent."""
        return await self._engine.read(lambda session: rescue.keys(session, job_id))

    async def rescue_answers(self, job_id: str, after: str, limit: int) -> Sequence[RescueAnswer]:
        """Return what came of the calls."""
        return await self._engine.read(
            lambda session: rescue.answers(session, job_id, after, limit)
        )

    # Quotas

    async def quotas(self) -> Sequence[Quota]:
        """Return what answers have taught."""
        return await self._engine.read(quotas.every)

    async def learn(self, credential: str, model: str, change: Callable[[Quota], Quota]) -> Quota:
        """Change what is known of one limit."""
        return await self._engine.write(
            lambda session: quotas.learn(session, credential, model, change)
        )

    async def sent_jobs(self, *, but: Sequence[str] = (), claimed: bool = False) -> Sequence[Sent]:
        """Return what is at the upstream, or may be."""
        return await self._engine.read(lambda session: quotas.sent(session, but, claimed))

    async def figures(self) -> Figures:
        """Return what is live now."""
        return await self._engine.snapshot(job_rows.figures)

    # Files that lines name

    async def get_files(self, owner: str, file_ids: Sequence[str], now: int) -> Sequence[File]:
        """Those of the files that are neither deleted nor expired."""
        return await self._engine.read(lambda session: staging.owned(session, owner, file_ids, now))

    async def failed_files(self, job_id: str) -> Sequence[NamedFile]:
        """Those of the files a job names that the upstream cannot use."""
        return await self._engine.read(lambda session: staging.failed(session, job_id))

    async def foreign_copies(self, job_id: str, made_by: str) -> int:
        """Count the ready copies of a job's files that another key uploaded."""
        return await self._engine.read(lambda session: staging.foreign(session, job_id, made_by))

    async def stage_files(
        self, job: Job, expires_at: int, room: int, now: int
    ) -> Sequence[NamedFile] | None:
        """Give each file that a claimed job names a copy to use."""
        return await self._engine.write(
            lambda session: staging.stage(session, job, expires_at, room, now)
        )

    async def due_staged(
        self, now: int, limit: int, *, uploads: int | None = None
    ) -> Sequence[StagedFile]:
        """Return copies that are due and not claimed."""
        return await self._engine.read(
            lambda session: staging.due(session, now, limit, limit if uploads is None else uploads)
        )

    async def claim_staged(self, staged_id: str, lease: int) -> StagedFile | None:
        """Claim a copy, raising its fence; one that is not needed is to be removed."""
        return await self._engine.write(lambda session: staging.claim(session, staged_id, lease))

    async def content_of_staged(self, staged_id: str) -> File | None:
        """Return a file whose bytes a copy is of."""
        return await self._engine.read(lambda session: staging.content(session, staged_id))

    async def save_staged(
        self, staged: StagedFile, *, keep: bool = False, gone: bool = False
    ) -> bool:
        """Write a claimed copy, or remove its row, guarded by its fence."""
        now = self._clock.now()
        return await self._engine.write(
            lambda session: staging.save(session, staged, keep=keep, gone=gone, now=now)
        )

    async def used_by(self, owner: str, since: int) -> Used:
        """Sum up what an owner has."""
        return await self._engine.read(lambda session: limits.used_by(session, owner, since))

    # Clients' own keys for Google

    async def keep_client_key(self, owner: str, sealed: str, now: int) -> None:
        """Write an owner's key down, or anew."""
        await self._engine.write(lambda session: keys.keep(session, owner, sealed, now))

    async def client_keys(self) -> Mapping[str, str]:
        """Return the sealed keys that are written down."""
        return await self._engine.read(keys.every)

    async def wipe_client_keys(self, before: int) -> Sequence[str]:
        """Remove keys that nothing needs; whose they were."""
        return await self._engine.write(lambda session: keys.wipe(session, before))

    # Webhooks

    async def set_settings_endpoint(self, url: str | None, now: int) -> None:
        """Keep the endpoint that the settings name, or forget it."""
        await self._engine.write(lambda session: webhooks.set_in_settings(session, url, now))

    async def add_endpoint(self, endpoint: WebhookEndpoint, most: int) -> WebhookEndpoint | None:
        """Insert, unless the owner has as many as that."""
        return await self._engine.write(lambda session: webhooks.add(session, endpoint, most))

    async def get_endpoint(self, owner: str, endpoint_id: str) -> WebhookEndpoint | None:
        """Return an endpoint that an owner may see."""
        return await self._engine.read(lambda session: webhooks.owned(session, owner, endpoint_id))

    async def list_endpoints(
        self, owner: str, *, limit: int, after: str | None = None
    ) -> Page[WebhookEndpoint] | None:
        """Endpoints, newest first; None when ``after`` is unknown."""
        return await self._engine.read(lambda session: webhooks.page(session, owner, limit, after))

    async def save_endpoint(self, endpoint: WebhookEndpoint) -> bool:
        """Write an endpoint of its owner."""
        return await self._engine.write(lambda session: webhooks.save(session, endpoint))

    async def delete_endpoint(self, owner: str, endpoint_id: str) -> bool:
        """Forget an endpoint, with its deliveries."""
        return await self._engine.write(
            lambda session: webhooks.delete(session, owner, endpoint_id)
        )

    async def list_deliveries(
        self, owner: str, endpoint_id: str, *, limit: int, after: str | None = None
    ) -> Page[Delivery] | None:
        """Deliveries, newest first; None when ``after`` is unknown."""
        return await self._engine.read(
            lambda session: webhooks.deliveries(session, owner, endpoint_id, limit, after)
        )

    async def due_deliveries(self, now: int, latest: int, limit: int) -> Sequence[Delivery]:
        """Return deliveries that are due and free, some of each endpoint."""
        return await self._engine.read(lambda session: webhooks.due(session, now, latest, limit))

    async def claim_delivery(
        self, delivery: Delivery, now: int, lease_until: int
    ) -> tuple[Delivery, WebhookEndpoint] | None:
        """Claim a pending delivery, raising its fence."""
        return await self._engine.write(
            lambda session: webhooks.claim(session, delivery, now, lease_until)
        )

    async def save_delivery(self, delivery: Delivery) -> bool:
        """Write a claimed delivery, guarded by its fence."""
        return await self._engine.write(lambda session: webhooks.save_delivery(session, delivery))


async def _pull_in(session: Session, now: int, latest: int) -> None:
    values = {"now": now, "latest": latest}
    for name in ("pull_in_jobs", "pull_in_send_deadlines", "pull_in_batches", "pull_in_staged"):
        await session.run(name, values)


async def _due(session: Session, state: JobState, now: int, limit: int) -> Sequence[Work]:
    return await _with_batches(session, await job_rows.due(session, state, now, limit))


async def _ending(session: Session, now: int, limit: int) -> Sequence[Work]:
    return await _with_batches(session, await job_rows.ending(session, now, limit))


async def _young(session: Session, now: int, since: int, items: int, limit: int) -> Sequence[Work]:
    return await _with_batches(session, await job_rows.young(session, now, since, items, limit))


async def _with_batches(session: Session, jobs: Sequence[Job]) -> Sequence[Work]:
    found = [(await batches.by_id(session, job.batch_id), job) for job in jobs]
    return [Work(batch, [job]) for batch, job in found if batch is not None]


async def _job(session: Session, job_id: str) -> Work | None:
    job = await job_rows.by_id(session, job_id)
    batch = None if job is None else await batches.by_id(session, job.batch_id)
    return None if job is None or batch is None else Work(batch, [job])


async def _batch(session: Session, batch_id: str) -> Work | None:
    batch = await batches.by_id(session, batch_id)
    return None if batch is None else Work(batch, await job_rows.of_batch(session, batch_id))


async def gateway_id(session: Session) -> str:
    """Return the id of the gateway that the records are of, made when it is first asked for."""
    await session.run("keep_meta", {"key": "gateway_id", "value": new_gateway_id()})
    kept: str = (await session.the("get_meta", {"key": "gateway_id"}))["value"]
    return kept
