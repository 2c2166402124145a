"""The census as Prometheus reads it: counted in the database when it asks."""

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from registry import census
from registry.census import Census
from registry.db import Database
from registry.lifecycle import JobStatus
from registry.offers import CPU, CUDA, TRAIN
from registry.uploads import CHECKS

_OUTCOMES = ("running", "succeeded", "failed", "lost", "cancelled", "paused", "expired", "returned")
_log = logging.getLogger(__name__)


class Rows(Collector):
    """What the rows tell. A database that does not answer is a number, too: the process's own metrics must still be had."""

    def __init__(self, database: Database, alive: timedelta) -> None:
        self._database = database
        self._alive = alive

    def collect(self) -> Iterable[Metric]:
        """Everything, counted now."""
        try:
            with self._database.read() as session:
                found = census.take(session, alive=self._alive)
        except SQLAlchemyError as error:
            _log.warning("the database does not answer: %s", error)
            return [_gauge("dlkd_database_up", "Whether the database answered", 0)]
        return [_gauge("dlkd_database_up", "Whether the database answered", 1), *_families(found)]

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not ask the database."""
        return []


def _families(found: Census) -> list[Metric]:
    return [
        _jobs(found),
        _by("dlkd_queue_oldest_seconds", "How long the job that waits longest has waited", "queue", _queues(found, found.oldest)),
        _gauge("dlkd_leases_overdue", "Jobs whose worker let the lease run out and that nobody has taken back", found.overdue),
        _by("dlkd_attempts", "Attempts by outcome", "outcome", {**dict.fromkeys(_OUTCOMES, 0), **found.attempts}),
        _durations(found),
        _gauge("dlkd_workers", "Workers heard of lately", found.workers),
        _gauge("dlkd_dispatcher_led", "Whether a worker leads: expires leases, sends hints, tidies up", int(found.led)),
        _by("dlkd_slots", "Slots of the living workers", "work", found.slots),
        _by("dlkd_slots_free", "Slots without a job", "work", found.free),
        _gauge("dlkd_artifacts", "Stored files", found.artifacts),
        _gauge("dlkd_artifact_bytes", "Their size", found.artifact_bytes),
    ]


def _jobs(found: Census) -> Metric:
    family = GaugeMetricFamily("dlkd_jobs", "Jobs by queue and status", labels=["queue", "status"])
    for queue in _queues(found, {}):
        for status in JobStatus:
            family.add_metric([queue, str(status)], found.jobs.get((queue, status), 0))
    return family


def _queues(found: Census, values: Mapping[str, float]) -> dict[str, float]:
    """A value for every queue, so that a series does not end where there is nothing to count."""
    names = {TRAIN, CPU, CUDA, CHECKS, *(queue for queue, _ in found.jobs)}
    return {name: values.get(name, 0.0) for name in sorted(names)}


def _durations(found: Census) -> Metric:
    family = HistogramMetricFamily(
        "dlkd_job_seconds", "From the first start to the end, of ended jobs", labels=["kind", "status"]
    )
    for group in found.durations:
        buckets = [(str(bound), float(count)) for bound, count in zip(census.DURATIONS, group.within, strict=True)]
        family.add_metric([group.kind, group.status], [*buckets, ("+Inf", float(group.count))], group.seconds)
    return family


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)


def _by(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
