"""The store's methods, each one transaction on whatever engine there is."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

from typing_extensions import override

from gateway.batches.admission import Sent, Unread, Waiting
from gateway.batches.batch import Batch, Counts, TokenUsage
from gateway.batches.figures import Figures
from gateway.batches.file import File
from gateway.batches.job import Job, JobState
from gateway.batches.limits import Estimate, OwnerLimits, Used
from gateway.batches.outlook import ModelQueue
from gateway.batches.quota import Lesson, Quota
from gateway.batches.response import DueQueue, ResponseStatus, StoredResponse, WaitingQueue
from gateway.batches.staging import NamedFile, StagedFile
from gateway.batches.upload import Part, Upload
from gateway.batches.webhooks import Delivery, WebhookEndpoint
from gateway.clock import Clock
from gateway.ids import new_gateway_id
from gateway.ports.store import (
    ALL_TIME,
    NO_FILES,
    NO_INTENTS,
    NOTHING_NAMED,
    BatchEnd,
    BlobChange,
    Claimed,
    Deletion,
    Intent,
    Page,
    RescueAnswer,
    RescueBegin,
    RescueCall,
    Seal,
    Store,
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


class Records(Store):
    """The gateway's records on an engine.

    ``clock`` gives the time at which a save makes blobs deletable, the only time no caller passes.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    @override
    async def open(self, now: int) -> None:
        await self._engine.open(now)

    @override
    async def close(self) -> None:
        await self._engine.close()

    @override
    async def gateway_id(self) -> str:
        return await self._engine.write(gateway_id)

    # Blobs

    @override
    async def register_blob(self, name: str, now: int) -> None:
        await self._engine.once(lambda session: blobs.register(session, name, now))

    @override
    async def register_blobs(self, seals: Mapping[str, Seal | None], now: int) -> None:
        await self._engine.write(lambda session: blobs.register_all(session, seals, now))

    @override
    async def blob_seal(self, name: str) -> Seal | None:
        return await self._engine.read(lambda session: blobs.seal_of(session, name))

    @override
    async def blob_content(self, name: str) -> bytes | None:
        return await self._engine.read(lambda session: blobs.content_of(session, name))

    @override
    async def sweepable_blobs(
        self, before: int, limit: int, *, pending_before: int | None = None
    ) -> Sequence[str]:
        pending = before if pending_before is None else pending_before
        return await self._engine.write(
            lambda session: blobs.sweepable(session, before, pending, limit)
        )

    @override
    async def forget_blobs(self, names: Sequence[str]) -> None:
        await self._engine.write(lambda session: blobs.forget(session, names))

    @override
    async def erase_forgotten(self) -> bool:
        return await self._engine.erase()

    @override
    async def known_blobs(self, names: Sequence[str]) -> set[str]:
        return await self._engine.read(lambda session: blobs.known(session, names))

    # Files

    @override
    async def add_file(self, file: File, content: bytes | None = None) -> File:
        return await self._engine.write(lambda session: files.add(session, file, content))

    @override
    async def get_file(self, owner: str, file_id: str, now: int) -> File | None:
        return await self._engine.read(lambda session: files.current(session, owner, file_id, now))

    @override
    async def file_by_id(self, file_id: str) -> File | None:
        return await self._engine.read(lambda session: files.by_id(session, file_id))

    @override
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

    @override
    async def delete_file(self, owner: str, file_id: str, now: int) -> Deletion:
        return await self._engine.write(lambda session: files.delete(session, owner, file_id, now))

    @override
    async def expire_files(self, now: int, limit: int) -> int:
        return await self._engine.write(lambda session: files.expire(session, now, limit))

    # Uploads

    @override
    async def add_upload(self, upload: Upload) -> None:
        await self._engine.write(lambda session: uploads.add(session, upload))

    @override
    async def get_upload(self, owner: str, upload_id: str) -> Upload | None:
        return await self._engine.read(lambda session: uploads.owned(session, owner, upload_id))

    @override
    async def add_part(
        self, owner: str, part: Part, now: int, content: bytes | None = None
    ) -> bool:
        return await self._engine.write(
            lambda session: uploads.add_part(session, owner, part, now, content)
        )

    @override
    async def parts_of(self, upload: Upload) -> Sequence[Part]:
        return await self._engine.read(lambda session: uploads.parts(session, upload.id))

    @override
    async def complete_upload(self, upload: Upload, file: File, now: int) -> File | None:
        return await self._engine.write(
            lambda session: uploads.complete(session, upload, file, now)
        )

    @override
    async def cancel_upload(self, owner: str, upload_id: str, now: int) -> Upload | None:
        return await self._engine.write(
            lambda session: uploads.cancel(session, owner, upload_id, now)
        )

    @override
    async def add_response(self, response: StoredResponse, seal: Seal) -> None:
        await self._engine.write(lambda session: responses.add(session, response, seal))

    @override
    async def get_response(self, owner: str, response_id: str, now: int) -> StoredResponse | None:
        return await self._engine.read(
            lambda session: responses.owned(session, owner, response_id, now)
        )

    @override
    async def delete_response(self, owner: str, response_id: str, now: int) -> bool:
        return await self._engine.write(
            lambda session: responses.delete(session, owner, response_id, now)
        )

    @override
    async def expire_responses(self, now: int, limit: int) -> int:
        return await self._engine.write(lambda session: responses.expire(session, now, limit))

    @override
    async def queue_response(
        self, response: StoredResponse, seal: Seal, *, same_since: int, within: OwnerLimits
    ) -> StoredResponse:
        return await self._engine.write(
            lambda session: responses.queue(session, response, seal, same_since, within)
        )

    @override
    async def note_response_used(self, owner: str, response_id: str, now: int) -> None:
        await self._engine.write(
            lambda session: responses.note_used(session, owner, response_id, now)
        )

    @override
    async def cancel_response(
        self, owner: str, response_id: str, now: int
    ) -> StoredResponse | None:
        return await self._engine.write(
            lambda session: responses.cancel(session, owner, response_id, now)
        )

    @override
    async def due_queues(self, now: int, limit: int) -> Sequence[DueQueue]:
        return await self._engine.read(lambda session: responses.due_queues(session, now, limit))

    @override
    async def waiting_queues(self, owner: str, limit: int) -> Sequence[WaitingQueue]:
        return await self._engine.read(
            lambda session: responses.waiting_queues(session, owner, limit)
        )

    @override
    async def backgrounds(self, owner: str, limit: int) -> Sequence[Batch]:
        return await self._engine.read(
            lambda session: responses.newest_batches(session, owner, limit)
        )

    @override
    async def live_backgrounds(self) -> Mapping[str, int]:
        return await self._engine.read(responses.live_batches)

    @override
    async def waiting_responses(self, queue: str, limit: int) -> Sequence[StoredResponse]:
        return await self._engine.read(lambda session: responses.waiting(session, queue, limit))

    @override
    async def collect_responses(
        self, batch: Batch, file: File, taken: Sequence[StoredResponse]
    ) -> bool:
        return await self._engine.write(
            lambda session: responses.collect(session, batch, file, taken)
        )

    @override
    async def undelivered_batches(self, limit: int) -> Sequence[Batch]:
        return await self._engine.read(lambda session: responses.undelivered(session, limit))

    @override
    async def partly_collected(self, limit: int) -> Sequence[Batch]:
        return await self._engine.read(lambda session: responses.partly_collected(session, limit))

    @override
    async def responses_of(self, batch_id: str) -> Sequence[StoredResponse]:
        return await self._engine.read(lambda session: responses.of_batch(session, batch_id))

    @override
    async def finish_response(self, response: StoredResponse, seal: Seal) -> ResponseStatus | None:
        now = self._clock.now()
        return await self._engine.write(
            lambda session: responses.finish(session, response, seal, now)
        )

    @override
    async def release_background(self, batch: Batch) -> None:
        now = self._clock.now()
        await self._engine.write(lambda session: responses.release(session, batch, now))

    @override
    async def spend(self, owner: str, estimate: Estimate, within: OwnerLimits, now: int) -> None:
        await self._engine.write(
            lambda session: limits.spend(session, owner, estimate, within, now)
        )

    @override
    async def settle(self, owner: str, day: int, change: int) -> None:
        await self._engine.write(lambda session: limits.settle(session, owner, day, change))

    @override
    async def expire_uploads(self, now: int, limit: int) -> int:
        return await self._engine.write(lambda session: uploads.expire(session, now, limit))

    # What outlives the end of a batch

    @override
    async def expire_raw(self, now: int, limit: int) -> int:
        return await self._engine.write(lambda session: retention.expire_raw(session, now, limit))

    @override
    async def forget_records(self, before: int, limit: int) -> int:
        return await self._engine.write(
            lambda session: retention.forget_records(session, before, limit)
        )

    # Batches, as requests see them

    @override
    async def add_batch(
        self,
        batch: Batch,
        *,
        same_since: int | None = None,
        within: OwnerLimits | None = None,
    ) -> Batch | None:
        return await self._engine.write(
            lambda session: batches.add(session, batch, same_since, within)
        )

    @override
    async def get_batch(self, owner: str, batch_id: str) -> Batch | None:
        return await self._engine.read(lambda session: batches.owned(session, owner, batch_id))

    @override
    async def get_batch_and_queues(
        self, owner: str, batch_id: str
    ) -> tuple[Batch, Sequence[ModelQueue]] | None:
        return await self._engine.read(
            lambda session: batches.with_queues(session, owner, batch_id)
        )

    @override
    async def list_batches(
        self, owner: str, *, limit: int, after: str | None = None
    ) -> Page[Batch] | None:
        return await self._engine.read(lambda session: batches.page(session, owner, limit, after))

    @override
    async def request_cancel(self, owner: str, batch_id: str, now: int) -> Batch | None:
        return await self._engine.write(
            lambda session: batches.request_cancel(session, owner, batch_id, now)
        )

    @override
    async def note_used(self, owner: str, batch_ids: Sequence[str], now: int) -> None:
        await self._engine.write(lambda session: batches.note_used(session, owner, batch_ids, now))

    # The runner's side

    @override
    async def due_batches(self, now: int, limit: int) -> Sequence[Work]:
        found = []
        for batch in await self._engine.read(lambda session: batches.due(session, now, limit)):
            found.append(await self.load_work(batch.id))
            await asyncio.sleep(0)  # in between the loop may do something else
        return [work for work in found if work is not None]

    @override
    async def due_validations(self, now: int, limit: int) -> Sequence[Unread]:
        return await self._engine.read(lambda session: batches.validations(session, now, limit))

    @override
    async def due_jobs(self, state: JobState, now: int, limit: int) -> Sequence[Work]:
        return await self._engine.snapshot(lambda session: _due(session, state, now, limit))

    @override
    async def young_jobs(self, now: int, since: int, items: int, limit: int) -> Sequence[Work]:
        return await self._engine.snapshot(
            lambda session: _young(session, now, since, items, limit)
        )

    @override
    async def ending_jobs(self, now: int, limit: int) -> Sequence[Work]:
        return await self._engine.snapshot(lambda session: _ending(session, now, limit))

    @override
    async def hurry_job(self, upstream_name: str) -> None:
        await self._engine.write(lambda session: job_rows.hurry(session, upstream_name))

    @override
    async def waiting_jobs(self, now: int, limit: int) -> Sequence[Waiting]:
        return await self._engine.read(lambda session: job_rows.waiting(session, now, limit))

    @override
    async def due_kinds(self, now: int) -> frozenset[str]:
        return await self._engine.read(lambda session: batches.due_kinds(session, now))

    @override
    async def next_due(self, after: int = ALL_TIME) -> int | None:
        return await self._engine.read(lambda session: batches.next_due(session, after))

    @override
    async def load_job(self, job_id: str) -> Work | None:
        return await self._engine.snapshot(lambda session: _job(session, job_id))

    @override
    async def load_batch(self, batch_id: str) -> Batch | None:
        return await self._engine.read(lambda session: batches.by_id(session, batch_id))

    @override
    async def load_batches(self, batch_ids: Collection[str]) -> Mapping[str, Batch]:
        return await self._engine.read(lambda session: _batches(session, batch_ids))

    @override
    async def load_work(self, batch_id: str) -> Work | None:
        return await self._engine.snapshot(lambda session: _batch(session, batch_id))

    @override
    async def input_file(self, batch_id: str) -> File | None:
        return await self._engine.read(lambda session: files.input_of(session, batch_id))

    @override
    async def running_job(self, job: Job, submitted_before: int) -> Job | None:
        return await self._engine.read(
            lambda session: job_rows.running(session, job, submitted_before)
        )

    @override
    async def another_model_runs(self, job: Job, since: int) -> bool:
        return await self._engine.read(
            lambda session: job_rows.another_model_runs(session, job, since)
        )

    @override
    async def owners(self) -> Mapping[str, tuple[int, int]]:
        return await self._engine.read(files.owners)

    @override
    async def foreign_jobs(self, credential: str, made_by: str) -> int:
        return await self._engine.read(
            lambda session: job_rows.foreign(session, credential, made_by)
        )

    @override
    async def pull_in(self, now: int, latest: int) -> None:
        await self._engine.write(lambda session: _pull_in(session, now, latest))

    @override
    async def rest_batch(self, batch: Batch, due_at: int | None) -> None:
        await self._engine.once(lambda session: batches.rest(session, batch, due_at))

    @override
    async def claim_batch(self, batch_id: str, lease: int) -> Batch | None:
        return await self._engine.once(lambda session: batches.claim(session, batch_id, lease))

    @override
    async def claim_jobs(self, job_ids: Sequence[str], lease: int) -> Sequence[Job]:
        return await self._engine.once(lambda session: job_rows.claim(session, job_ids, lease))

    @override
    async def admission_turn(self) -> str:
        turn, lapsed = await self._engine.read(quotas.turn)
        if lapsed:
            await self._engine.write(quotas.release_lapsed)
        return turn

    @override
    async def claim_to_send(
        self,
        placed: Mapping[str, str],
        turn: str,
        lease: int,
        intents: Mapping[str, Intent] = NO_INTENTS,
    ) -> Sequence[Work] | None:
        return await self._engine.write(
            lambda session: _claim_to_send(session, placed, turn, lease, intents)
        )

    @override
    async def renew_claims(self, rows: Sequence[Claimed], lease: int) -> set[str]:
        return await self._engine.write(lambda session: leases.renew(session, rows, lease))

    @override
    async def now(self) -> int:
        return await self._engine.read(leases.now)

    @override
    async def listen(self, heard: Callable[[], None]) -> None:
        await self._engine.listen(heard)

    @override
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

    @override
    async def longest_job(self, model: str) -> int:
        return await self._engine.read(lambda session: job_rows.longest(session, model))

    @override
    async def answered_jobs(self, owner: str, since: int, now: int, limit: int) -> Sequence[Job]:
        return await self._engine.read(
            lambda session: job_rows.answered(session, owner, since, now, limit)
        )

    @override
    async def inline_mismatches(self, model: str, since: int) -> bool:
        return await self._engine.read(
            lambda session: job_rows.inline_mismatches(session, model, since)
        )

    @override
    async def add_rerendered(
        self, batch_id: str, entry: Mapping[str, object], files: Sequence[File]
    ) -> Batch | None:
        return await self._engine.write(
            lambda session: batches.add_rerendered(session, batch_id, entry, files)
        )

    @override
    async def save_job(
        self,
        job: Job,
        *,
        counts: Counts = Counts(),
        usage: TokenUsage = TokenUsage(),
        blobs: BlobChange = BlobChange(),
        jobs: Sequence[Job] = (),
        named: Mapping[str, Sequence[str]] = NO_FILES,
        doubt_files: bool = False,
        paid_again: int | None = None,
        lesson: Lesson | None = None,
        ends: BatchEnd | None = None,
        keep: bool = False,
    ) -> bool:
        now = self._clock.now()
        return await self._engine.write(
            lambda session: batches.save_job(
                session,
                job,
                ends,
                counts=counts,
                usage=usage,
                blobs=blobs,
                jobs=jobs,
                named=named,
                doubt_files=doubt_files,
                paid_again=paid_again,
                lesson=lesson,
                keep=keep,
                now=now,
            )
        )

    # Synchronous calls near a deadline

    @override
    async def begin_rescue_call(self, job: Job, call: RescueCall, budget: int) -> RescueBegin:
        return await self._engine.write(lambda session: rescue.begin(session, job, call, budget))

    @override
    async def answer_rescue_call(self, job: Job, key: str, text: str, cost: int | None) -> None:
        await self._engine.write(lambda session: rescue.answer(session, job, key, text, cost))

    @override
    async def withdraw_rescue_call(self, job: Job, key: str) -> None:
        await self._engine.write(lambda session: rescue.withdraw(session, job, key))

    @override
    async def lose_rescue_calls(self, job: Job, key: str = "") -> int:
        return await self._engine.write(lambda session: rescue.lose(session, job, key))

    @override
    async def rescue_keys(self, job_id: str) -> frozenset[str]:
        return await self._engine.read(lambda session: rescue.keys(session, job_id))

    @override
    async def rescue_answers(self, job_id: str, after: str, limit: int) -> Sequence[RescueAnswer]:
        return await self._engine.read(
            lambda session: rescue.answers(session, job_id, after, limit)
        )

    # Quotas

    @override
    async def quotas(self) -> Sequence[Quota]:
        return await self._engine.read(quotas.every)

    @override
    async def learn(self, credential: str, model: str, change: Callable[[Quota], Quota]) -> Quota:
        return await self._engine.write(
            lambda session: quotas.learn(session, credential, model, change)
        )

    @override
    async def sent_jobs(self, *, but: Sequence[str] = (), claimed: bool = False) -> Sequence[Sent]:
        return await self._engine.read(lambda session: quotas.sent(session, but, claimed))

    @override
    async def figures(self) -> Figures:
        return await self._engine.snapshot(job_rows.figures)

    # Files that lines name

    @override
    async def get_files(self, owner: str, file_ids: Sequence[str], now: int) -> Sequence[File]:
        return await self._engine.read(lambda session: staging.owned(session, owner, file_ids, now))

    @override
    async def failed_files(self, job_id: str) -> Sequence[NamedFile]:
        return await self._engine.read(lambda session: staging.failed(session, job_id))

    @override
    async def foreign_copies(self, job_id: str, made_by: str) -> int:
        return await self._engine.read(lambda session: staging.foreign(session, job_id, made_by))

    @override
    async def stage_files(
        self, job: Job, expires_at: int, room: int, now: int
    ) -> Sequence[NamedFile] | None:
        return await self._engine.write(
            lambda session: staging.stage(session, job, expires_at, room, now)
        )

    @override
    async def due_staged(
        self, now: int, limit: int, *, uploads: int | None = None
    ) -> Sequence[StagedFile]:
        return await self._engine.read(
            lambda session: staging.due(session, now, limit, limit if uploads is None else uploads)
        )

    @override
    async def claim_staged(self, staged_id: str, lease: int) -> StagedFile | None:
        return await self._engine.write(lambda session: staging.claim(session, staged_id, lease))

    @override
    async def content_of_staged(self, staged_id: str) -> File | None:
        return await self._engine.read(lambda session: staging.content(session, staged_id))

    @override
    async def save_staged(
        self, staged: StagedFile, *, keep: bool = False, gone: bool = False
    ) -> bool:
        now = self._clock.now()
        return await self._engine.write(
            lambda session: staging.save(session, staged, keep=keep, gone=gone, now=now)
        )

    @override
    async def used_by(self, owner: str, since: int) -> Used:
        return await self._engine.read(lambda session: limits.used_by(session, owner, since))

    # Clients' own keys for Google

    @override
    async def keep_client_key(self, owner: str, sealed: str, now: int) -> None:
        await self._engine.write(lambda session: keys.keep(session, owner, sealed, now))

    @override
    async def client_keys(self) -> Mapping[str, str]:
        return await self._engine.read(keys.every)

    @override
    async def wipe_client_keys(self, before: int) -> Sequence[str]:
        return await self._engine.write(lambda session: keys.wipe(session, before))

    # Webhooks

    @override
    async def set_settings_endpoint(self, url: str | None, now: int) -> None:
        await self._engine.write(lambda session: webhooks.set_in_settings(session, url, now))

    @override
    async def add_endpoint(self, endpoint: WebhookEndpoint, most: int) -> WebhookEndpoint | None:
        return await self._engine.write(lambda session: webhooks.add(session, endpoint, most))

    @override
    async def get_endpoint(self, owner: str, endpoint_id: str) -> WebhookEndpoint | None:
        return await self._engine.read(lambda session: webhooks.owned(session, owner, endpoint_id))

    @override
    async def list_endpoints(
        self, owner: str, *, limit: int, after: str | None = None
    ) -> Page[WebhookEndpoint] | None:
        return await self._engine.read(lambda session: webhooks.page(session, owner, limit, after))

    @override
    async def save_endpoint(self, endpoint: WebhookEndpoint) -> bool:
        return await self._engine.write(lambda session: webhooks.save(session, endpoint))

    @override
    async def delete_endpoint(self, owner: str, endpoint_id: str) -> bool:
        return await self._engine.write(
            lambda session: webhooks.delete(session, owner, endpoint_id)
        )

    @override
    async def list_deliveries(
        self, owner: str, endpoint_id: str, *, limit: int, after: str | None = None
    ) -> Page[Delivery] | None:
        return await self._engine.read(
            lambda session: webhooks.deliveries(session, owner, endpoint_id, limit, after)
        )

    @override
    async def due_deliveries(self, now: int, latest: int, limit: int) -> Sequence[Delivery]:
        return await self._engine.read(lambda session: webhooks.due(session, now, latest, limit))

    @override
    async def claim_delivery(
        self, delivery: Delivery, now: int, lease_until: int
    ) -> tuple[Delivery, WebhookEndpoint] | None:
        return await self._engine.write(
            lambda session: webhooks.claim(session, delivery, now, lease_until)
        )

    @override
    async def save_delivery(self, delivery: Delivery) -> bool:
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


async def _claim_to_send(
    session: Session,
    placed: Mapping[str, str],
    turn: str,
    lease: int,
    intents: Mapping[str, Intent],
) -> Sequence[Work] | None:
    jobs = await quotas.claim_to_send(session, placed, turn, lease, intents)
    return None if jobs is None else await _with_batches(session, jobs)


async def _with_batches(session: Session, jobs: Sequence[Job]) -> Sequence[Work]:
    found = [(await batches.by_id(session, job.batch_id), job) for job in jobs]
    return [Work(batch, [job]) for batch, job in found if batch is not None]


async def _job(session: Session, job_id: str) -> Work | None:
    job = await job_rows.by_id(session, job_id)
    batch = None if job is None else await batches.by_id(session, job.batch_id)
    return None if job is None or batch is None else Work(batch, [job])


async def _batches(session: Session, batch_ids: Collection[str]) -> Mapping[str, Batch]:
    found = [await batches.by_id(session, batch_id) for batch_id in batch_ids]
    return {batch.id: batch for batch in found if batch is not None}


async def _batch(session: Session, batch_id: str) -> Work | None:
    batch = await batches.by_id(session, batch_id)
    return None if batch is None else Work(batch, await job_rows.of_batch(session, batch_id))


async def gateway_id(session: Session) -> str:
    """Return the id of the gateway that the records are of, made when it is first asked for."""
    await session.run("keep_meta", {"key": "gateway_id", "value": new_gateway_id()})
    kept: str = (await session.the("get_meta", {"key": "gateway_id"}))["value"]
    return kept
