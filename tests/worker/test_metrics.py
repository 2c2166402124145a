"""What a worker tells Prometheus about itself."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pynvml
import pytest
from prometheus_client.parser import text_string_to_metric_families

from registry.tables import Job
from tests.worker.conftest import Workshop, scripted, soon
from worker import gpus, metrics
from worker.kit import Kit
from worker.main import working
from worker.slots import Slots


def read(port: int) -> dict[str, float]:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    return {
        " ".join([sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@contextmanager
def serving(kit: Kit) -> Iterator[tuple[Slots, int]]:
    slots = Slots(kit, [{"kind": "cpu", "cores": 1, "memory_bytes": 2**34}])
    slots.start()
    with metrics.served(kit, slots) as port:
        assert port is not None
        try:
            yield slots, port
        finally:
            slots.drain()


def test_slots_cache_and_ends_are_told(workshop: Workshop) -> None:
    kit = workshop.kit("export()\nfinish()", slots=2, worker_metrics_port=0)
    (kit.scratch / "cache").mkdir()
    (kit.scratch / "cache" / "a").write_bytes(bytes(1000))
    dataset = {"id": workshop.ready_dataset()}
    with serving(kit) as (_, port):
        before = read(port)
        job_id = workshop.submit(dataset=dataset)
        soon(lambda: workshop.job(job_id).status == "succeeded")
        name = "dlkd_worker_attempts_total kind=distill outcome=finished"
        soon(lambda: read(port).get(name, 0) == before.get(name, 0) + 1)
    assert (before["dlkd_worker_slots work=train"], before["dlkd_worker_slots work=checks"]) == (2, 1)
    assert before["dlkd_worker_slots_busy work=train"] == 0
    assert before["dlkd_worker_cache_bytes"] == 1000
    assert before[f"dlkd_build_info version={metrics.__version__} worker={kit.worker_id}"] == 1


def test_a_slot_that_holds_a_job_is_busy(workshop: Workshop) -> None:
    kit = workshop.kit("step(1)\nuntil_stopped()\nsave(1)", worker_metrics_port=0)
    workshop.submit(dataset={"id": workshop.ready_dataset()})
    with serving(kit) as (_, port):
        soon(lambda: read(port)["dlkd_worker_slots_busy work=train"] == 1)
        assert read(port)["dlkd_worker_slots_busy work=checks"] == 0


def test_without_a_port_nothing_is_served(workshop: Workshop) -> None:
    kit = workshop.kit()
    with metrics.served(kit, Slots(kit, [])) as port:
        assert port is None


def test_a_port_that_is_taken_is_named_before_a_job_is_claimed(workshop: Workshop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        changed = workshop.settings.model_copy(update={"worker_metrics_port": other.getsockname()[1]})
        job_id = workshop.submit(dataset={"id": workshop.ready_dataset()})
        with pytest.raises(metrics.PortTaken, match="name another DLKD_WORKER_METRICS_PORT"), working(changed, scripted("")):
            pass
    assert workshop.job(job_id).attempt == 0


def test_a_job_lost_to_another_worker_is_counted_as_fenced(workshop: Workshop) -> None:
    kit = workshop.kit("step(1)\nuntil_stopped()", worker_metrics_port=0)
    name = "dlkd_worker_attempts_total kind=distill outcome=fenced"
    job_id = workshop.submit(dataset={"id": workshop.ready_dataset()})
    with serving(kit) as (_, port):
        before = read(port).get(name, 0)
        soon(lambda: workshop.job(job_id).status == "running")
        with workshop.database.write() as session:
            session.get_one(Job, job_id).worker_id = "another"
        soon(lambda: read(port).get(name, 0) == before + 1)


class Driver:
    """NVIDIA's management library on a machine with two GPUs, of which the second does not tell how busy it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = 0
        monkeypatch.setattr(pynvml, "nvmlInit", lambda: self.open(1))
        monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: self.open(-1))
        monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda _: "NVIDIA H100")
        monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda index: SimpleNamespace(used=index + 1, total=80))
        monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", self.rates)

    def open(self, by: int) -> None:
        self.opened += by

    def rates(self, index: int) -> SimpleNamespace:
        if index == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=73, memory=12)


def test_gpus_are_told_where_there_are_some(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(monkeypatch)
    with serving(workshop.kit(worker_metrics_port=0)) as (_, port):
        found = read(port)
    assert found["dlkd_gpu_busy_ratio index=0 name=NVIDIA H100"] == 0.73
    assert "dlkd_gpu_busy_ratio index=1 name=NVIDIA H100" not in found
    assert found["dlkd_gpu_memory_used_bytes index=1 name=NVIDIA H100"] == 2
    assert found["dlkd_gpu_memory_bytes index=0 name=NVIDIA H100"] == 80
    assert driver.opened == 0


def test_real_gpus_answer() -> None:
    for gpu in gpus.use():  # none on most machines that run this
        assert (gpu.name != "", 0 < gpu.used_bytes <= gpu.memory_bytes) == (True, True)
        assert gpu.busy is None or 0 <= gpu.busy <= 1
