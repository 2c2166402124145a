"""Tests for the Prometheus metrics of a worker."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pynvml
import pytest
from prometheus_client.parser import text_string_to_metric_families

from registry.db.job_tables import Job
from tests.worker.conftest import WorkerHarness, scripted_command, wait_until
from worker import gpus, metrics
from worker.context import WorkerContext
from worker.slot_threads import Slots
from worker.worker_process import start_worker


def scrape_metrics(port: int) -> dict[str, float]:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    return {
        " ".join(
            [sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@contextmanager
def serve_worker_metrics(context: WorkerContext) -> Iterator[tuple[Slots, int]]:
    slots = Slots(context, [{"kind": "cpu", "cores": 1, "memory_bytes": 2**34}])
    slots.start()
    with metrics.serve_metrics(context, slots) as port:
        assert port is not None
        try:
            yield slots, port
        finally:
            slots.drain()


def test_slots_cache_size_and_ended_attempts_are_reported(harness: WorkerHarness) -> None:
    context = harness.create_context("export()\nfinish()", slots=2, worker_metrics_port=0)
    (context.scratch / "cache").mkdir()
    (context.scratch / "cache" / "a").write_bytes(bytes(1000))
    dataset = {"id": harness.add_ready_dataset()}
    with serve_worker_metrics(context) as (_, port):
        before = scrape_metrics(port)
        job_id = harness.submit(dataset=dataset)
        wait_until(lambda: harness.get_job(job_id).status == "succeeded")
        name = "dlkd_worker_attempts_total kind=distill outcome=finished"
        wait_until(lambda: scrape_metrics(port).get(name, 0) == before.get(name, 0) + 1)
    assert before["dlkd_worker_slots work=train"] == 2
    assert before["dlkd_worker_slots work=checks"] == 1
    assert before["dlkd_worker_slots_busy work=train"] == 0
    assert before["dlkd_worker_cache_bytes"] == 1000
    assert before[f"dlkd_build_info version={metrics.__version__} worker={context.worker_id}"] == 1


def test_a_slot_that_runs_a_job_is_busy(harness: WorkerHarness) -> None:
    context = harness.create_context("step(1)\nwait_for_stop()\nsave(1)", worker_metrics_port=0)
    harness.submit(dataset={"id": harness.add_ready_dataset()})
    with serve_worker_metrics(context) as (_, port):
        wait_until(lambda: scrape_metrics(port)["dlkd_worker_slots_busy work=train"] == 1)
        assert scrape_metrics(port)["dlkd_worker_slots_busy work=checks"] == 0


def test_without_a_port_nothing_is_served(harness: WorkerHarness) -> None:
    context = harness.create_context()
    with metrics.serve_metrics(context, Slots(context, [])) as port:
        assert port is None


def test_a_port_in_use_is_reported_before_a_job_is_claimed(harness: WorkerHarness) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        changed = harness.settings.model_copy(
            update={"worker_metrics_port": other.getsockname()[1]}
        )
        job_id = harness.submit(dataset={"id": harness.add_ready_dataset()})
        with (
            pytest.raises(metrics.PortInUse, match="Set DLKD_WORKER_METRICS_PORT to a free port"),
            start_worker(changed, scripted_command("")),
        ):
            pass
    assert harness.get_job(job_id).attempt == 0


def test_a_job_lost_to_another_worker_is_counted_as_fenced(harness: WorkerHarness) -> None:
    context = harness.create_context("step(1)\nwait_for_stop()", worker_metrics_port=0)
    name = "dlkd_worker_attempts_total kind=distill outcome=fenced"
    job_id = harness.submit(dataset={"id": harness.add_ready_dataset()})
    with serve_worker_metrics(context) as (_, port):
        before = scrape_metrics(port).get(name, 0)
        wait_until(lambda: harness.get_job(job_id).status == "running")
        with harness.database.write() as session:
            session.get_one(Job, job_id).worker_id = "another"
        wait_until(lambda: scrape_metrics(port).get(name, 0) == before + 1)


class FakeNvml:
    """Fakes NVML for a machine with two GPUs. The second GPU does not report its load."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open_handles = 0
        monkeypatch.setattr(pynvml, "nvmlInit", lambda: self.count_open(1))
        monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: self.count_open(-1))
        monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda _: "NVIDIA H100")
        monkeypatch.setattr(
            pynvml,
            "nvmlDeviceGetMemoryInfo",
            lambda index: SimpleNamespace(used=index + 1, total=80),
        )
        monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", self.read_rates)

    def count_open(self, change: int) -> None:
        self.open_handles += change

    def read_rates(self, index: int) -> SimpleNamespace:
        if index == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=73, memory=12)


def test_gpus_are_reported(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml(monkeypatch)
    with serve_worker_metrics(harness.create_context(worker_metrics_port=0)) as (_, port):
        values = scrape_metrics(port)
    assert values["dlkd_gpu_busy_ratio index=0 name=NVIDIA H100"] == 0.73
    assert "dlkd_gpu_busy_ratio index=1 name=NVIDIA H100" not in values
    assert values["dlkd_gpu_memory_used_bytes index=1 name=NVIDIA H100"] == 2
    assert values["dlkd_gpu_memory_bytes index=0 name=NVIDIA H100"] == 80
    assert nvml.open_handles == 0


def test_real_gpus_are_read() -> None:
    for gpu in gpus.read_gpu_usage():  # most test machines have no GPU
        assert gpu.name != ""
        assert 0 < gpu.used_bytes <= gpu.memory_bytes
        assert gpu.busy is None or 0 <= gpu.busy <= 1
