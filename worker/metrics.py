"""What one worker knows and the rows do not: its GPUs, its slots, its cache, and how its attempts ended. For Prometheus."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Info, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dlkd_core import __version__
from worker import gpus
from worker.gpus import Use
from worker.kit import Kit
from worker.lessons import FOLDER
from worker.slots import Slots
from worker.tally import ENDED


class PortTaken(Exception):
    """The metrics cannot be served where the settings say."""


@contextmanager
def served(kit: Kit, slots: Slots) -> Iterator[int | None]:
    """Serves the numbers for the block at the settings' address, and yields the port; None where they name none.

    Raises:
        PortTaken: where another program has it.
    """
    if kit.settings.worker_metrics_port is None:
        yield None
        return
    host, port = kit.settings.worker_metrics_host, kit.settings.worker_metrics_port
    try:
        server, thread = start_http_server(port, host, registry=_registry(kit, slots))
    except OSError as error:
        raise PortTaken(f"{host}:{port} cannot be had ({error.strerror}): name another DLKD_WORKER_METRICS_PORT.") from error
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _registry(kit: Kit, slots: Slots) -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Info("dlkd_build", "The program", registry=registry).info({"version": __version__, "worker": kit.worker_id})
    registry.register(ENDED)
    registry.register(_Worker(kit, slots))
    return registry


class _Worker(Collector):
    """Looks when it is asked."""

    def __init__(self, kit: Kit, slots: Slots) -> None:
        self._kit = kit
        self._slots = slots

    def collect(self) -> Iterable[Metric]:
        cache = sum(_size(self._kit.scratch / folder) for folder in ("cache", FOLDER))
        return [
            _by_work("dlkd_worker_slots", "Slots", self._slots.count()),
            _by_work("dlkd_worker_slots_busy", "Slots that hold a job", self._slots.busy()),
            GaugeMetricFamily("dlkd_worker_cache_bytes", "Inputs, and answers of teachers, kept for the next job", value=cache),
            *_devices(gpus.use()),
        ]

    def describe(self) -> Iterable[Metric]:
        return []


def _by_work(name: str, words: str, counts: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=["work"])
    for work, count in counts.items():
        family.add_metric([work], count)
    return family


def _devices(found: list[Use]) -> list[Metric]:
    labels = ["index", "name"]
    busy = GaugeMetricFamily("dlkd_gpu_busy_ratio", "Share of the last moments in which kernels ran", labels=labels)
    used = GaugeMetricFamily("dlkd_gpu_memory_used_bytes", "Memory in use, by whomever", labels=labels)
    memory = GaugeMetricFamily("dlkd_gpu_memory_bytes", "Memory of the GPU", labels=labels)
    for gpu in found:
        of = [str(gpu.index), gpu.name]
        used.add_metric(of, gpu.used_bytes)
        memory.add_metric(of, gpu.memory_bytes)
        if gpu.busy is not None:
            busy.add_metric(of, gpu.busy)
    return [busy, used, memory]


def _size(folder: Path) -> int:
    total = 0
    for file in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # it has just made room
            total += file.stat().st_size
    return total
