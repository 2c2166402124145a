"""Prometheus metrics of the service, computed from the database on every scrape."""

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from registry.db.database import Database
from registry.jobs.job_enums import AttemptOutcome
from registry.jobs.lifecycle import JobStatus
from registry.jobs.queue_names import QueueName
from registry.observability import service_stats
from registry.observability.service_stats import ServiceStats

_log = logging.getLogger(__name__)


class ServiceMetricsCollector(Collector):
    """Prometheus collector for the metrics that are computed from the database.

    If the database does not respond, the collector reports only `dlkd_database_up`. The metrics of
    the process stay available.
    """

    def __init__(self, database: Database, worker_timeout: timedelta) -> None:
        self._database = database
        self._worker_timeout = worker_timeout

    def collect(self) -> Iterable[Metric]:
        """Return all metrics with their current values."""
        documentation = "Whether the database answered."
        try:
            with self._database.read() as session:
                stats = service_stats.collect_service_stats(
                    session, alive_within=self._worker_timeout
                )
        except SQLAlchemyError as error:
            _log.warning("Database is unavailable; service metrics are skipped: %s", error)
            return [GaugeMetricFamily("dlkd_database_up", documentation, value=0)]
        return [
            GaugeMetricFamily("dlkd_database_up", documentation, value=1),
            *_build_metric_families(stats),
        ]

    def describe(self) -> Iterable[Metric]:
        """Return no metrics, so that registering the collector does not query the database."""
        return []


def _build_metric_families(stats: ServiceStats) -> list[Metric]:
    return [
        _build_job_gauge(stats),
        _build_labeled_gauge(
            "dlkd_queue_oldest_job_age_seconds",
            "Waiting time of the oldest queued job.",
            "queue",
            _fill_missing_queues(stats, stats.oldest_queued_seconds),
        ),
        GaugeMetricFamily(
            "dlkd_expired_leases",
            "Number of jobs with an expired lease that have not been requeued yet.",
            value=stats.overdue_leases,
        ),
        _build_labeled_gauge(
            "dlkd_attempts",
            "Number of attempts by outcome.",
            "outcome",
            {**{str(outcome): 0 for outcome in AttemptOutcome}, **stats.attempts},
        ),
        _build_duration_histogram(stats),
        GaugeMetricFamily(
            "dlkd_workers", "Number of workers with a recent heartbeat.", value=stats.workers
        ),
        GaugeMetricFamily(
            "dlkd_dispatcher_has_leader",
            "Whether a worker is the leader, which expires leases, notifies workers and cleans up.",
            value=int(stats.has_leader),
        ),
        _build_labeled_gauge(
            "dlkd_slots", "Number of slots of running workers.", "work", stats.slots
        ),
        _build_labeled_gauge(
            "dlkd_slots_free", "Number of slots without a job.", "work", stats.free_slots
        ),
        GaugeMetricFamily("dlkd_artifacts", "Number of stored files.", value=stats.artifacts),
        GaugeMetricFamily(
            "dlkd_artifact_bytes", "Total size of stored files.", value=stats.artifact_bytes
        ),
    ]


def _build_job_gauge(stats: ServiceStats) -> Metric:
    family = GaugeMetricFamily(
        "dlkd_jobs", "Number of jobs by queue and status.", labels=["queue", "status"]
    )
    for queue in _fill_missing_queues(stats, {}):
        for status in JobStatus:
            family.add_metric([queue, str(status)], stats.jobs.get((queue, status), 0))
    return family


def _fill_missing_queues(stats: ServiceStats, values: Mapping[str, float]) -> dict[str, float]:
    """Return a value for every queue, so that the time series of an empty queue continues at 0."""
    names = {*map(str, QueueName), *(queue for queue, _ in stats.jobs)}
    return {name: values.get(name, 0.0) for name in sorted(names)}


def _build_duration_histogram(stats: ServiceStats) -> Metric:
    family = HistogramMetricFamily(
        "dlkd_job_duration_seconds",
        "Time from the first start of a job to its end.",
        labels=["kind", "status"],
    )
    for histogram in stats.durations:
        bounds = [*map(str, service_stats.DURATION_BUCKETS), "+Inf"]
        counts = map(float, [*histogram.bucket_counts, histogram.count])
        family.add_metric(
            [histogram.kind, histogram.status],
            list(zip(bounds, counts, strict=True)),
            histogram.seconds,
        )
    return family


def _build_labeled_gauge(
    name: str, documentation: str, label: str, values: Mapping[str, float]
) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for label_value, value in values.items():
        family.add_metric([label_value], value)
    return family
