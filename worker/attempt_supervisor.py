"""Supervises an attempt: prepares its inputs, monitors the trainer and records the result."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event as Flag

from prometheus_client import Counter
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from registry.attempts import claims
from registry.attempts.attempt_results import PostCommitWork
from registry.attempts.claims import Claim
from registry.errors import LeaseLost, StoredFileCorrupt
from registry.jobs.job_enums import JobKind
from registry.jobs.lifecycle import JobStatus
from registry.models.model_versions import ExportedFile
from registry.storage import artifacts
from registry.storage.object_store import StoredFile
from registry.uploads.upload_check_jobs import CHECK_FILES
from worker import trainer_request, trainer_result
from worker.context import WorkerContext
from worker.heartbeat import Heartbeat
from worker.trainer_monitor import TrainerMonitor
from worker.trainer_process import TrainerProcess
from worker.trainer_result import ResultKind, TrainerResult

_log = logging.getLogger(__name__)

ATTEMPTS_ENDED = Counter(
    "dlkd_worker_attempts",
    "Attempts that ended on this worker.",
    ["kind", "outcome"],
    registry=None,
)


def supervise(
    context: WorkerContext, claim: Claim, slots: Sequence[int], drain_event: Flag
) -> None:
    """Run an attempt in the given slots until it ends.

    This never raises. If the result cannot be recorded, the lease expires and the dispatcher
    requeues the job.
    """
    with bound_contextvars(job=claim.job_id, attempt=claim.attempt, worker=context.worker_id):
        attempt = _AttemptRunner(context, claim)
        _log.info("Attempt started: %s", claim.kind)
        try:
            outcome = attempt.run(slots, drain_event)
        except LeaseLost:
            outcome = "fenced"
            _log.warning("Attempt lost its lease")
        except Exception:  # noqa: BLE001 - the slot thread must survive
            outcome = "crashed"
            _log.exception("Attempt crashed; its lease will expire")
        finally:
            trainer_request.remove_directory(attempt.directory)
        ATTEMPTS_ENDED.labels(claim.kind, outcome).inc()


class _AttemptRunner:
    def __init__(self, context: WorkerContext, claim: Claim) -> None:
        self._context = context
        self._claim = claim
        self._heartbeat = Heartbeat(context, claim)
        self.directory = context.scratch / f"{claim.job_id}-{claim.attempt}"

    def run(self, slots: Sequence[int], drain_event: Flag) -> str:
        """Run the attempt and return its outcome, a value of the metric label `outcome`."""
        self._heartbeat.start()
        try:
            result, stored = self._execute(slots, drain_event)
            if result.kind == ResultKind.LOST:
                raise LeaseLost("The lease was lost.")
            _log.info("Attempt ended: %s", result.error.get("code", result.kind))
            self._heartbeat.send()  # record the trainer's last events before the job ends
            self._run_post_commit(self._write_result(result, stored))
            return result.kind
        finally:
            self._heartbeat.stop()

    def _execute(
        self, slots: Sequence[int], drain_event: Flag
    ) -> tuple[TrainerResult, list[StoredFile]]:
        """Run the trainer and return its result and the stored files.

        If the worker itself fails, its error becomes the result.
        """
        trainer: TrainerProcess | None = None
        try:
            request = trainer_request.build_request(
                self._context, self._claim, self.directory, slots
            )
            trainer = self._context.trainer_pool.take(self._claim.slots)
            self._context.trainer_pool.refill()
            trainer.send_request(request)
            trainer.start_keep_alive(
                self._context.settings.heartbeat_seconds, lambda: not self._heartbeat.lease_lost
            )
            self._heartbeat.write_with_retry(
                lambda session: claims.advance_status(session, self._claim, JobStatus.RUNNING)
            )
            result = TrainerMonitor(self._context, self._claim, self._heartbeat, trainer).run(
                drain_event
            )
            return result, self._store_files(result) if result.kind == ResultKind.FINISHED else []
        except (LeaseLost, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - any error is recorded on the job
            _log.exception("Attempt failed outside its trainer")
            return trainer_result.make_worker_error(
                error, trainer.log_tail() if trainer else []
            ), []
        finally:
            if trainer is not None:
                trainer.end()
                self._heartbeat.add_log_lines(trainer.take_new_lines())

    def _store_files(self, result: TrainerResult) -> list[StoredFile]:
        """Upload the trainer's files and check each against the digest in the trainer's result."""
        if self._claim.kind == JobKind.CHECK_DATASET:
            names = self._list_check_files()
            return [self._context.store.put_file(self.directory / name) for name in names]
        stored = [self._context.store.put_file(Path(file.path)) for file in result.files]
        for file, stored_file in zip(result.files, stored, strict=True):
            if file.sha256 != stored_file.digest:
                raise StoredFileCorrupt(f"{file.name} changed after its digest was computed.")
        return stored

    def _list_check_files(self) -> list[str]:
        return [name for name in CHECK_FILES if (self.directory / name).exists()]

    def _write_result(self, result: TrainerResult, stored: list[StoredFile]) -> PostCommitWork:
        """Record the attempt's result in one transaction."""
        try:
            return self._heartbeat.write_with_retry(
                lambda session: self._end_attempt(session, result, stored)
            )
        except (LeaseLost, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - any error is recorded on the job
            _log.exception("Could not record the result of the attempt")
            failure = trainer_result.make_worker_error(error, result.log)
            return self._heartbeat.write_with_retry(
                lambda session: self._end_attempt(session, failure, [])
            )

    def _end_attempt(
        self, session: Session, result: TrainerResult, stored: list[StoredFile]
    ) -> PostCommitWork:
        claim = self._claim
        match result.kind:
            case ResultKind.FINISHED:
                return self._write_success(session, result, stored)
            case ResultKind.FAILED:
                delay = timedelta(seconds=self._context.settings.retry_seconds)
                return claims.fail(
                    session, claim, error=result.error, log_tail=result.log, retry_after=delay
                )
            case ResultKind.CANCELLED:
                claims.mark_cancelled(session, claim)
            case ResultKind.EXPIRED:
                claims.mark_expired(session, claim)
            case _:
                claims.release(session, claim)
        return PostCommitWork()

    def _write_success(
        self, session: Session, result: TrainerResult, stored: list[StoredFile]
    ) -> PostCommitWork:
        for file in stored:
            artifacts.record(session, self._context.store, file)
        if self._claim.kind != JobKind.DISTILL:
            files = dict(zip(self._list_check_files(), stored, strict=True)) if stored else {}
            return claims.finish_check(session, self._claim, report=result.report, files=files)
        rows = [
            ExportedFile(
                file.name,
                file.format,
                file.sha256,
                file.size,
                top1=file.top1,
                latency_ms=file.latency_ms,
            )
            for file in result.files
        ]
        claims.finish(session, self._claim, report=result.report, files=rows)
        return PostCommitWork()

    def _run_post_commit(self, work: PostCommitWork) -> None:
        for queue, job_id in work.hints:
            self._context.queue.send(queue, job_id)
        for digest in work.orphaned_digests:
            self._heartbeat.write_with_retry(
                partial(artifacts.delete_if_unreferenced, store=self._context.store, digest=digest)
            )
