"""Follows a trainer from its first event to its end, and stops it where it must."""

import logging
import os
from pathlib import Path
from threading import Event as Flag
from time import monotonic

from pydantic import ValidationError

from dlkd_core import events
from registry import claims
from registry.claims import Claim, Point
from registry.lifecycle import JobStatus
from worker.ending import Ending, died, failed
from worker.kit import Kit
from worker.persist import persist
from worker.process import Trainer
from worker.pulse import Pulse

_log = logging.getLogger(__name__)
_TICK_SECONDS = 0.2
_RANK = ("drain", "pause", "expire", "cancel", "kill")  # a stop gives way to one that stands further back


class Follower:
    """The events of one trainer become progress, news, checkpoints and, in the end, an `Ending`."""

    def __init__(self, kit: Kit, claim: Claim, pulse: Pulse, trainer: Trainer) -> None:
        self._kit = kit
        self._claim = claim
        self._pulse = pulse
        self._trainer = trainer
        self._batch_size = claim.spec.get("training", {}).get("batch_size")
        self._files: list[events.FileExported] = []
        self._heard = self._began = monotonic()
        self._checkpoint_due = 0.0
        self._stopping: str | None = None
        self._deadline = 0.0

    def follow(self, draining: Flag) -> Ending:
        """Until the trainer has said its last word, died, or was stopped."""
        while True:
            self._pulse.log(self._trainer.fresh_lines())
            ending = self._overdue() or self._orders(draining)
            if ending is not None:
                return ending
            try:
                line = self._trainer.next_line(_TICK_SECONDS)
            except TimeoutError:
                continue
            if line is None:
                return self._ended()
            ending = self._take(line)
            if ending is not None:
                return ending

    def _ended(self) -> Ending:
        return self._stopped() or died(self._trainer.end(), self._trainer.log_tail())

    def _whole_log(self) -> list[str]:
        """The end of the log once there is no more to come: what was written before an event may be read after it."""
        self._trainer.end()
        return self._trainer.log_tail()

    def _stopped(self) -> Ending | None:
        if self._stopping is None:
            return None
        match self._stopping:
            case "cancel" | "kill":
                return Ending("cancelled")
            case "expire":
                return Ending("expired")
        return Ending("returned")

    def _orders(self, draining: Flag) -> Ending | None:
        """Passes on what the client or the worker's end demands."""
        if self._pulse.lost:
            self._trainer.kill()
            return Ending("lost")
        for reason in filter(None, (self._pulse.order, "drain" if draining.is_set() else None)):
            if self._stopping is None or _RANK.index(reason) > _RANK.index(self._stopping):
                self._stop(reason)
        if self._stopping == "kill":
            self._trainer.kill()
            return self._stopped()
        if self._stopping is not None and monotonic() > self._deadline:
            self._trainer.end()
            return self._stopped()
        return None

    def _stop(self, reason: str) -> None:
        """The trainer has some time to save a checkpoint, counted from the first wish; a check has none to save."""
        _log.info("stopping %s: %s", self._claim.job_id, reason)
        if self._stopping is None:
            self._deadline = monotonic() + (self._kit.settings.stop_seconds if self._claim.kind == "distill" else 0.0)
        self._stopping = reason
        self._trainer.stop()

    def _overdue(self) -> Ending | None:
        now, settings = monotonic(), self._kit.settings
        if self._claim.kind != "distill" and now - self._began > settings.check_seconds:
            words = f"The check took longer than {settings.check_seconds:.0f} s."
            return failed("check_too_long", words, "Send a smaller file.", log=self._whole_log(), retryable=False)
        if now - self._heard > settings.hang_seconds:
            words = f"The trainer said nothing for {settings.hang_seconds:.0f} s."
            return failed("trainer_hung", words, "Look at the device and the log.", log=self._whole_log())
        return None

    def _take(self, line: bytes) -> Ending | None:
        self._heard = monotonic()
        try:
            event = events.event_adapter.validate_json(line)
        except ValidationError:
            words = f"The trainer said what is no event: {line[:200]!r}"
            return failed("trainer_garbled", words, "Please report it with the log.", log=self._whole_log())
        match event:
            case events.Failed(error=error):
                return self._stopped() or Ending("failed", error=error, log=self._whole_log())
            case events.Finished(report=report):
                return Ending("finished", report=report, files=tuple(self._files))
        self._note(event)
        return None

    def _note(self, event: events.Event) -> None:
        match event:
            case events.PhaseStarted(phase=phase):
                self._phase(phase)
            case events.StepDone(epoch=epoch, epochs=epochs, step=step, steps=steps):
                self._pulse.progress(epoch=epoch, epochs=epochs, step=step, steps=steps, batch_size=self._batch_size)
            case events.Measured(step=step, epoch=epoch, values=values):
                self._pulse.point(Point(step, epoch, values))
            case events.CheckpointSaved(path=path, step=step):
                self._checkpoint(Path(path), step)
            case events.FileExported():
                self._files.append(event)
                self._pulse.event("file", event.model_dump(mode="json", exclude={"type", "path"}))
            case _:
                self._pulse.event(event.type, event.model_dump(mode="json", exclude={"type"}))

    def _phase(self, phase: str) -> None:
        self._pulse.progress(phase=phase)
        self._pulse.event("phase", {"phase": phase})
        if phase == "exporting":
            self._pulse.beat()  # the state must not run ahead of the progress
            persist(self._kit, self._pulse, lambda session: claims.enter(session, self._claim, JobStatus.EXPORTING))

    def _checkpoint(self, path: Path, step: int) -> None:
        """Brings a checkpoint to the store, from where the one before goes. Not each one, but always the last before a stop."""
        if self._stopping is None and monotonic() < self._checkpoint_due:
            return
        started = monotonic()
        held = path.with_name(f"checkpoint-{step}")
        os.link(path, held)  # the trainer may replace its own meanwhile
        key = f"checkpoints/{self._claim.job_id}/{self._claim.attempt}-{step}"
        self._kit.store.put_key(key, held)
        held.unlink()
        before = persist(self._kit, self._pulse, lambda session: claims.checkpoint(session, self._claim, key, step))
        if before is not None:
            self._kit.store.delete_key(before)
        took = monotonic() - started
        self._checkpoint_due = monotonic() + max(self._kit.settings.checkpoint_seconds, 10 * took)
