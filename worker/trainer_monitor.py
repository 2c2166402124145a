"""Monitors a trainer: follows its events, enforces time limits and asks it to stop."""

import logging
import os
from pathlib import Path
from threading import Event as Flag
from time import monotonic
from typing import Any

from pydantic import ValidationError

from dlkd_core import events
from registry.attempts import claims
from registry.attempts.claims import Claim, MetricPoint, StopOrder
from registry.jobs.job_enums import JobKind
from registry.jobs.lifecycle import JobStatus
from registry.storage.object_store import CHECKPOINTS_PREFIX
from worker.context import WorkerContext
from worker.heartbeat import Heartbeat
from worker.trainer_process import TrainerProcess
from worker.trainer_result import ResultKind, TrainerResult, make_crash, make_failure

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.2
# Stop reasons in ascending priority (a later one replaces an earlier one) and their results.
_STOP_RESULTS: dict[str, ResultKind] = {
    "drain": ResultKind.RETURNED,
    StopOrder.PAUSE: ResultKind.RETURNED,
    StopOrder.EXPIRE: ResultKind.EXPIRED,
    StopOrder.CANCEL: ResultKind.CANCELLED,
    StopOrder.KILL: ResultKind.CANCELLED,
}
_STOP_PRIORITY = tuple(_STOP_RESULTS)


class TrainerMonitor:
    """Records a trainer's progress, metrics and checkpoints, and returns a `TrainerResult`."""

    def __init__(
        self, context: WorkerContext, claim: Claim, heartbeat: Heartbeat, trainer: TrainerProcess
    ) -> None:
        self._context = context
        self._claim = claim
        self._heartbeat = heartbeat
        self._trainer = trainer
        self._has_baseline = bool(claim.spec.get("baseline"))
        self._files: list[events.FileExported] = []
        self._last_event_at = self._started_at = monotonic()
        self._next_checkpoint_at = 0.0
        self._stop_reason: str | None = None
        self._stop_deadline = 0.0

    def run(self, drain_event: Flag) -> TrainerResult:
        """Follow the trainer until it finishes, dies or is stopped."""
        while True:
            self._heartbeat.add_log_lines(self._trainer.take_new_lines())
            result = self._check_timeouts() or self._handle_orders(drain_event)
            if result is not None:
                return result
            try:
                line = self._trainer.next_line(_POLL_SECONDS)
            except TimeoutError:
                continue
            if line is None:
                return self._stop_result() or make_crash(
                    self._trainer.end(), self._trainer.log_tail()
                )
            result = self._handle_line(line)
            if result is not None:
                return result

    def _collect_log(self) -> list[str]:
        self._trainer.end()  # log lines written before the last event may arrive after it
        return self._trainer.log_tail()

    def _stop_result(self) -> TrainerResult | None:
        if self._stop_reason is None:
            return None
        return TrainerResult(_STOP_RESULTS[self._stop_reason])

    def _handle_orders(self, drain_event: Flag) -> TrainerResult | None:
        """Ask the trainer to stop if the client requested it or the worker is shutting down."""
        if self._heartbeat.lease_lost:
            self._trainer.kill()
            return TrainerResult(ResultKind.LOST)
        for reason in filter(
            None, (self._heartbeat.stop_order, "drain" if drain_event.is_set() else None)
        ):
            if self._stop_reason is None or _STOP_PRIORITY.index(reason) > _STOP_PRIORITY.index(
                self._stop_reason
            ):
                self._request_stop(reason)
        if self._stop_reason == StopOrder.KILL:
            self._trainer.kill()
            return self._stop_result()
        if self._stop_reason is not None and monotonic() > self._stop_deadline:
            self._trainer.end()
            return self._stop_result()
        return None

    def _request_stop(self, reason: str) -> None:
        _log.info("Stopping the trainer: %s", reason)
        # A training run gets time to save a checkpoint, counted from the first stop request. A
        # check has nothing to save.
        if self._stop_reason is None:
            self._stop_deadline = monotonic() + (
                self._context.settings.stop_seconds if self._claim.kind == JobKind.DISTILL else 0.0
            )
        self._stop_reason = reason
        self._trainer.request_stop()

    def _check_timeouts(self) -> TrainerResult | None:
        now, settings = monotonic(), self._context.settings
        if self._claim.kind != JobKind.DISTILL and now - self._started_at > settings.check_seconds:
            return make_failure(
                "check_too_long",
                f"The check took longer than {settings.check_seconds:.0f} s.",
                "Send a smaller file.",
                log=self._collect_log(),
                retryable=False,
            )
        if now - self._last_event_at > settings.hang_seconds:
            return make_failure(
                "trainer_hung",
                f"The trainer sent no event for {settings.hang_seconds:.0f} s.",
                "Check the device and the job's log.",
                log=self._collect_log(),
            )
        return None

    def _handle_line(self, line: bytes) -> TrainerResult | None:
        self._last_event_at = monotonic()
        try:
            event = events.event_adapter.validate_json(line)
        except ValidationError:
            return make_failure(
                "trainer_garbled",
                f"The trainer sent a line that is not an event: {line[:200]!r}",
                "Please report this together with the job's log.",
                log=self._collect_log(),
            )
        match event:
            case events.RunFailed(error=error):
                return self._stop_result() or TrainerResult(
                    ResultKind.FAILED, error=error, log=self._collect_log()
                )
            case events.RunFinished(report=report):
                return TrainerResult(ResultKind.FINISHED, report=report, files=tuple(self._files))
        self._handle_event(event)
        return None

    def _handle_event(self, event: events.Event) -> None:
        match event:
            case events.PhaseStarted(phase=phase):
                self._enter_phase(phase)
            case events.StepFinished():
                self._heartbeat.set_progress(**event.model_dump(exclude={"type"}))
            case events.MetricsRecorded(step=step, epoch=epoch, values=values):
                self._heartbeat.add_point(MetricPoint(step, epoch, values))
            case events.CheckpointSaved(path=path, step=step):
                self._upload_checkpoint(Path(path), step)
            case events.FileExported():
                self._files.append(event)
                self._heartbeat.add_event(
                    "file", event.model_dump(mode="json", exclude={"type", "path"})
                )
            case _:
                self._heartbeat.add_event(
                    event.type, event.model_dump(mode="json", exclude={"type"})
                )

    def _enter_phase(self, phase: str) -> None:
        progress: dict[str, Any] = {"phase": phase}
        if self._has_baseline:
            progress["has_baseline"] = True
        if phase == events.Phase.BASELINE:
            progress |= {"step": 0, "epoch": None}  # count the baseline's steps from the beginning
        self._heartbeat.set_progress(**progress)
        self._heartbeat.add_event("phase", {"phase": phase})
        if phase == events.Phase.EXPORTING:
            self._heartbeat.send()  # record the progress before the status changes
            self._heartbeat.write_with_retry(
                lambda session: claims.advance_status(session, self._claim, JobStatus.EXPORTING)
            )

    def _upload_checkpoint(self, path: Path, step: int) -> None:
        """Upload a checkpoint and delete the previous one.

        A checkpoint is skipped if it follows too soon after the previous one. The last checkpoint
        before a stop is never skipped.
        """
        if self._stop_reason is None and monotonic() < self._next_checkpoint_at:
            return
        started = monotonic()
        snapshot = path.with_name(f"checkpoint-{step}")
        os.link(path, snapshot)  # the trainer may replace its own file during the upload
        key = f"{CHECKPOINTS_PREFIX}/{self._claim.job_id}/{self._claim.attempt}-{step}"
        self._context.store.put_key(key, snapshot)
        snapshot.unlink()
        previous_key = self._heartbeat.write_with_retry(
            lambda session: claims.record_checkpoint(session, self._claim, key, step)
        )
        if previous_key is not None:
            self._context.store.delete_key(previous_key)
        now = monotonic()
        self._next_checkpoint_at = now + max(
            self._context.settings.checkpoint_seconds, 10 * (now - started)
        )
