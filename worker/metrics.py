"""Prometheus metrics of one worker: slots, GPUs, cache size and ended attempts."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Info, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dlkd_core import __version__
from worker import gpus
from worker.attempt_supervisor import ATTEMPTS_ENDED
from worker.context import WorkerContext
from worker.gpus import GpuUsage
from worker.slot_threads import Slots
from worker.teacher_cache_files import CACHE_FOLDER
from worker.trainer_request import INPUT_CACHE_FOLDER


class PortInUse(Exception):
    """The port of the metrics server is in use."""


@contextmanager
def serve_metrics(context: WorkerContext, slots: Slots) -> Iterator[int | None]:
    """Serve the metrics during the `with` block. Yield the port, or None if none is configured.

    Raises:
        PortInUse: another program is listening on the configured port.
    """
    if context.settings.worker_metrics_port is None:
        yield None
        return
    host, port = context.settings.worker_metrics_host, context.settings.worker_metrics_port
    try:
        server, thread = start_http_server(port, host, registry=_build_registry(context, slots))
    except OSError as error:
        raise PortInUse(
            f"Cannot serve metrics on {host}:{port} ({error.strerror}). "
            "Set DLKD_WORKER_METRICS_PORT to a free port."
        ) from error
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _build_registry(context: WorkerContext, slots: Slots) -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Info("dlkd_build", "Version of the worker and its id.", registry=registry).info(
        {"version": __version__, "worker": context.worker_id}
    )
    registry.register(ATTEMPTS_ENDED)
    registry.register(_WorkerCollector(context, slots))
    return registry


class _WorkerCollector(Collector):
    """Collects the current values at each scrape."""

    def __init__(self, context: WorkerContext, slots: Slots) -> None:
        self._context = context
        self._slots = slots

    def collect(self) -> Iterable[Metric]:
        cache = sum(
            _folder_bytes(self._context.scratch / folder)
            for folder in (INPUT_CACHE_FOLDER, CACHE_FOLDER)
        )
        return [
            _gauge_by_work("dlkd_worker_slots", "Number of slots.", self._slots.count()),
            _gauge_by_work(
                "dlkd_worker_slots_busy", "Number of busy slots.", self._slots.count_busy()
            ),
            GaugeMetricFamily(
                "dlkd_worker_cache_bytes",
                "Size of cached inputs and teacher outputs.",
                value=cache,
            ),
            *_gpu_metrics(gpus.read_gpu_usage()),
        ]

    def describe(self) -> Iterable[Metric]:
        return []


def _gauge_by_work(name: str, description: str, counts: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, description, labels=["work"])
    for work, count in counts.items():
        family.add_metric([work], count)
    return family


def _gpu_metrics(usages: list[GpuUsage]) -> list[Metric]:
    labels = ["index", "name"]
    busy = GaugeMetricFamily(
        "dlkd_gpu_busy_ratio", "Fraction of time during which kernels ran.", labels=labels
    )
    used = GaugeMetricFamily(
        "dlkd_gpu_memory_used_bytes", "GPU memory in use by all processes.", labels=labels
    )
    memory = GaugeMetricFamily("dlkd_gpu_memory_bytes", "Total GPU memory.", labels=labels)
    for gpu in usages:
        label_values = [str(gpu.index), gpu.name]
        used.add_metric(label_values, gpu.used_bytes)
        memory.add_metric(label_values, gpu.memory_bytes)
        if gpu.busy is not None:
            busy.add_metric(label_values, gpu.busy)
    return [busy, used, memory]


def _folder_bytes(folder: Path) -> int:
    total = 0
    for file in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # the file was evicted meanwhile
            total += file.stat().st_size
    return total
