"""One attempt, from claim to end: inputs in, a trainer process, its events into rows, its files into the store."""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event as Flag
from typing import TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from registry import artifacts, claims
from registry.claims import Claim
from registry.endings import Settled
from registry.errors import Fenced, FileCorrupt
from registry.lifecycle import JobStatus
from registry.models import FileRow
from registry.store import Stored
from registry.uploads import CHECK_FILES
from worker import ending, inputs
from worker.ending import Ending
from worker.follow import Follower
from worker.kit import Kit
from worker.persist import persist
from worker.process import Trainer
from worker.pulse import Pulse
from worker.tally import ENDED

_log = logging.getLogger(__name__)
T = TypeVar("T")


def supervise(kit: Kit, claim: Claim, slots: Sequence[int], draining: Flag) -> None:
    """Runs the attempt in these slots to its end, whatever that is. Raises nothing: a lease that is not given back runs out."""
    with bound_contextvars(job=claim.job_id, attempt=claim.attempt, worker=kit.worker_id):
        attempt = _Attempt(kit, claim)
        _log.info("attempt %d of %s (%s) begins", claim.attempt, claim.job_id, claim.kind)
        try:
            outcome = attempt.run(slots, draining)
        except Fenced:
            outcome = "fenced"
            _log.warning("attempt %d of %s was lost to another worker", claim.attempt, claim.job_id)
        except Exception:  # noqa: BLE001 - the slot must live on
            outcome = "wordless"
            _log.exception("attempt %d of %s ends without a word; its lease will run out", claim.attempt, claim.job_id)
        finally:
            inputs.clear(attempt.directory)
        ENDED.labels(claim.kind, outcome).inc()


class _Attempt:
    def __init__(self, kit: Kit, claim: Claim) -> None:
        self._kit = kit
        self._claim = claim
        self._pulse = Pulse(kit, claim)
        self.directory = kit.scratch / f"{claim.job_id}-{claim.attempt}"

    def run(self, slots: Sequence[int], draining: Flag) -> str:
        """Returns how it ended."""
        self._pulse.start()
        try:
            result, stored = self._execute(slots, draining)
            if result.kind == "lost":
                raise Fenced("The lease was lost.")
            _log.info("attempt %d of %s ends: %s", self._claim.attempt, self._claim.job_id, result.error.get("code", result.kind))
            self._pulse.beat()  # what the trainer said last comes before the end of the job
            self._clean_up(self._write(result, stored))
            return result.kind
        finally:
            self._pulse.stop()

    def _execute(self, slots: Sequence[int], draining: Flag) -> tuple[Ending, list[Stored]]:
        """How the trainer ended, and what it made; what goes wrong around it is an ending, too."""
        trainer: Trainer | None = None
        try:
            request = inputs.prepare(self._kit, self._claim, self.directory, slots)
            trainer = self._kit.trainers.take(self._claim.slots)
            self._kit.trainers.refill()
            trainer.ask(request)
            trainer.keep_alive(self._kit.settings.heartbeat_seconds, lambda: not self._pulse.lost)
            self._persist(lambda session: claims.enter(session, self._claim, JobStatus.RUNNING))
            result = Follower(self._kit, self._claim, self._pulse, trainer).follow(draining)
            return result, self._store(result) if result.kind == "finished" else []
        except (Fenced, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the job's row tells it
            _log.exception("attempt %d of %s failed around its trainer", self._claim.attempt, self._claim.job_id)
            return ending.around(error, trainer.log_tail() if trainer else []), []
        finally:
            if trainer is not None:
                trainer.end()
                self._pulse.log(trainer.fresh_lines())

    def _store(self, result: Ending) -> list[Stored]:
        """Brings what the trainer made to the store, each file held to the digest that it was measured under."""
        if self._claim.kind == "check_dataset":
            return [self._kit.store.put_file(self.directory / name) for name in CHECK_FILES]
        stored = [self._kit.store.put_file(Path(file.path)) for file in result.files]
        for file, found in zip(result.files, stored, strict=True):
            if file.sha256 != found.digest:
                raise FileCorrupt(f"{file.name} changed after it was measured.")
        return stored

    def _write(self, result: Ending, stored: list[Stored]) -> Settled:
        """The end of the attempt in one transaction."""
        try:
            return self._persist(lambda session: self._end(session, result, stored))
        except (Fenced, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the job's row tells it
            _log.exception("attempt %d of %s could not be written", self._claim.attempt, self._claim.job_id)
            broken = ending.around(error, result.log)
            return self._persist(lambda session: self._end(session, broken, []))

    def _end(self, session: Session, result: Ending, stored: list[Stored]) -> Settled:
        claim, pause = self._claim, timedelta(seconds=self._kit.settings.retry_seconds)
        match result.kind:
            case "finished":
                return self._publish(session, result, stored)
            case "failed":
                return claims.fail(session, claim, error=result.error, log_tail=result.log, retry_after=pause)
            case "cancelled":
                claims.cancelled(session, claim)
            case "expired":
                claims.expired(session, claim)
            case _:
                claims.give_back(session, claim)
        return Settled()

    def _publish(self, session: Session, result: Ending, stored: list[Stored]) -> Settled:
        for one in stored:
            artifacts.record(session, self._kit.store, one)
        if self._claim.kind != "distill":
            files = dict(zip(CHECK_FILES, stored, strict=True)) if stored else {}
            return claims.finish_check(session, self._claim, report=result.report, files=files)
        rows = [
            FileRow(file.name, file.format, file.sha256, file.size, top1=file.top1, latency_ms=file.latency_ms)
            for file in result.files
        ]
        claims.finish(session, self._claim, report=result.report, files=rows)
        return Settled()

    def _clean_up(self, settled: Settled) -> None:
        for queue, job_id in settled.hints:
            self._kit.queue.send(queue, job_id)
        for digest in settled.forget:
            self._persist(partial(artifacts.forget, store=self._kit.store, digest=digest))

    def _persist(self, write: Callable[[Session], T]) -> T:
        return persist(self._kit, self._pulse, write)
