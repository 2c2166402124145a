"""Assignment of jobs to workers with enough capacity."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import select

from registry.attempts import claims, maintenance
from registry.db.job_tables import Job
from registry.jobs.queue_names import QueueName
from registry.workers import capacity, membership
from registry.workers.capacity import QueueCapacity, can_run, fits_any, worker_capacities
from tests.registry.conftest import RegistryHarness

ALIVE, GIBIBYTE = timedelta(seconds=60), 2**30
CPU_DEVICE = {
    "kind": "cpu",
    "cores": 8,
    "memory_bytes": 64 * GIBIBYTE,
    "trainer_bytes": 32 * GIBIBYTE,
}
GPUS = [{"kind": "cuda", "name": "big", "memory_bytes": size * GIBIBYTE} for size in (80, 40)]
SLOTS = {"train": 2, "checks": 1}


def test_a_worker_without_gpus_serves_all_queues_but_cuda() -> None:
    assert {
        (entry.queue, entry.memory_bytes) for entry in worker_capacities(SLOTS, [CPU_DEVICE])
    } == {
        ("checks", None),
        (QueueName.TRAIN, 32 * GIBIBYTE),
        (QueueName.TRAIN_CPU, 32 * GIBIBYTE),
    }
    with_gpus = {
        (entry.queue, entry.memory_bytes) for entry in worker_capacities(SLOTS, [CPU_DEVICE, *GPUS])
    }
    assert with_gpus == {
        ("checks", None),
        (QueueName.TRAIN, 40 * GIBIBYTE),
        (QueueName.TRAIN_CPU, 32 * GIBIBYTE),
        (QueueName.TRAIN_CUDA, 40 * GIBIBYTE),
    }


RESOURCES = [
    {"device": device, "gpus": gpus, "memory_gb": memory}
    for device, gpus, memory in product(("auto", "cpu", "cuda"), (1, 2), (None, 8, 64))
    if gpus == 1 or device == "cuda"
]
CAPACITIES = [
    QueueCapacity(queue, memory, gpus)
    for queue, memory, gpus in product(
        (QueueName.TRAIN, QueueName.TRAIN_CPU, QueueName.TRAIN_CUDA), (None, 8 * GIBIBYTE), (1, 2)
    )
]


def test_the_sql_condition_agrees_with_can_run(harness: RegistryHarness) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    jobs = [
        harness.get_job(harness.submit(dataset=dataset, resources=resources))
        for resources in RESOURCES
    ]
    for entry in CAPACITIES:
        with harness.database.read() as session:
            query = select(Job.id).where(fits_any([entry]), Job.kind == "distill")
            matching = set(session.execute(query).scalars())
        assert matching == {job.id for job in jobs if can_run(entry, job)}


def test_a_claim_takes_the_best_job_that_fits(
    harness: RegistryHarness,
) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    gpu = harness.submit(dataset=dataset, priority=9, resources={"device": "cuda"})
    large = harness.submit(dataset=dataset, priority=8, resources={"memory_gb": 64})
    small = harness.submit(dataset=dataset, resources={"memory_gb": 4})
    cpu_capacities = [
        QueueCapacity(QueueName.TRAIN, 8 * GIBIBYTE),
        QueueCapacity(QueueName.TRAIN_CPU, 8 * GIBIBYTE),
    ]
    assert claim_job(harness, cpu_capacities) == small
    assert claim_job(harness, cpu_capacities) is None
    gpu_capacities = [
        QueueCapacity(QueueName.TRAIN_CUDA, 40 * GIBIBYTE),
        QueueCapacity(QueueName.TRAIN, 40 * GIBIBYTE),
    ]
    assert claim_job(harness, gpu_capacities) == gpu
    assert claim_job(harness, [QueueCapacity(QueueName.TRAIN, 80 * GIBIBYTE)]) == large


def claim_job(harness: RegistryHarness, capacities: list[QueueCapacity]) -> str | None:
    claim = harness.run(claims.claim, worker_id="worker_1", capacities=capacities, lease=ALIVE)
    return claim.job_id if claim else None


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        ({}, None),
        ({"device": "cpu"}, None),
        ({"device": "cuda"}, "a worker with a GPU (none is alive)"),
        ({"device": "cuda", "gpus": 4}, "a worker with 4 GPUs for one job (none is alive)"),
        ({"memory_gb": 1000}, "a worker with 1000 GiB of memory (none is alive)"),
        (
            {"device": "cpu", "memory_gb": 1000},
            "a worker with a CPU and 1000 GiB of memory (none is alive)",
        ),
    ],
)
def test_a_job_that_no_live_worker_can_run_tells_what_it_waits_for(
    harness: RegistryHarness, resources: dict[str, Any], reason: str | None
) -> None:
    job = harness.get_job(harness.submit(resources=resources))
    with harness.database.read() as session:
        # No worker is registered yet.
        assert set(capacity.explain_waiting(session, [job], alive_within=ALIVE)) == {job.id}
    facts = {"name": "a", "hostname": "a", "pid": 1, "slots": SLOTS, "devices": [CPU_DEVICE]}
    harness.run(membership.register, "worker_1", facts)
    with harness.database.read() as session:
        assert capacity.explain_waiting(session, [job], alive_within=ALIVE).get(job.id) == reason
        assert (
            capacity.explain_waiting(session, [job], alive_within=timedelta()).get(job.id)
            is not None
        )


def test_queue_messages_go_to_the_queue_of_the_device(harness: RegistryHarness) -> None:
    facts = {"name": "a", "hostname": "a", "pid": 1, "slots": SLOTS, "devices": [CPU_DEVICE, *GPUS]}
    harness.run(membership.register, "worker_1", facts)
    job_id = harness.submit(resources={"device": "cuda"})
    assert harness.run(maintenance.take_due_hints, resend_after=ALIVE, alive_within=ALIVE) == [
        ("train-cuda", job_id)
    ]
