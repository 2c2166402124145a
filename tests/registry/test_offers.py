"""Which worker serves which job."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import select

from registry import claims, offers, sweeps, workers
from registry.offers import CPU, CUDA, TRAIN, Offer, fits, offers_of, serves
from registry.tables import Job

World = Any  # tests/registry/conftest.py
ALIVE, GIBIBYTE = timedelta(seconds=60), 2**30
PROCESSOR = {"kind": "cpu", "cores": 8, "memory_bytes": 64 * GIBIBYTE, "trainer_bytes": 32 * GIBIBYTE}
GPUS = [{"kind": "cuda", "name": "big", "memory_bytes": size * GIBIBYTE} for size in (80, 40)]
SLOTS = {"train": 2, "checks": 1}


def test_a_worker_with_gpus_serves_every_wish_and_one_without_all_but_gpus() -> None:
    assert {(offer.queue, offer.memory_bytes) for offer in offers_of(SLOTS, [PROCESSOR])} == {
        ("checks", None),
        (TRAIN, 32 * GIBIBYTE),
        (CPU, 32 * GIBIBYTE),
    }
    with_gpus = {(offer.queue, offer.memory_bytes) for offer in offers_of(SLOTS, [PROCESSOR, *GPUS])}
    assert with_gpus == {("checks", None), (TRAIN, 40 * GIBIBYTE), (CPU, 32 * GIBIBYTE), (CUDA, 40 * GIBIBYTE)}


RESOURCES = [
    {"device": device, "gpus": gpus, "memory_gb": memory}
    for device, gpus, memory in product(("auto", "cpu", "cuda"), (1, 2), (None, 8, 64))
    if gpus == 1 or device == "cuda"
]
OFFERS = [Offer(queue, memory, gpus) for queue, memory, gpus in product((TRAIN, CPU, CUDA), (None, 8 * GIBIBYTE), (1, 2))]


def test_the_database_and_the_program_agree_on_who_serves_what(world: World) -> None:
    dataset = {"id": world.ready_dataset()}
    found = [world.job(world.submit(dataset=dataset, resources=wish)) for wish in RESOURCES]
    for offer in OFFERS:
        with world.database.read() as session:
            chosen = set(session.execute(select(Job.id).where(fits([offer]), Job.kind == "distill")).scalars())
        assert chosen == {job.id for job in found if serves(offer, job)}


def test_a_claim_takes_the_best_job_that_fits_and_leaves_the_others(world: World) -> None:
    dataset = {"id": world.ready_dataset()}
    gpu = world.submit(dataset=dataset, priority=9, resources={"device": "cuda"})
    large = world.submit(dataset=dataset, priority=8, resources={"memory_gb": 64})
    small = world.submit(dataset=dataset, resources={"memory_gb": 4})
    processor = [Offer(TRAIN, 8 * GIBIBYTE), Offer(CPU, 8 * GIBIBYTE)]
    assert claimed(world, processor) == small
    assert claimed(world, processor) is None
    assert claimed(world, [Offer(CUDA, 40 * GIBIBYTE), Offer(TRAIN, 40 * GIBIBYTE)]) == gpu
    assert claimed(world, [Offer(TRAIN, 80 * GIBIBYTE)]) == large


def claimed(world: World, offers: list[Offer]) -> str | None:
    claim = world.do(claims.claim, worker_id="worker_1", offers=offers, lease=ALIVE)
    return claim.job_id if claim else None


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({}, None),
        ({"device": "cpu"}, None),
        ({"device": "cuda"}, "a worker with a GPU: none is alive"),
        ({"device": "cuda", "gpus": 4}, "a worker with 4 GPUs a job: none is alive"),
        ({"memory_gb": 1000}, "a worker with 1000 GiB of memory: none is alive"),
        ({"device": "cpu", "memory_gb": 1000}, "a worker with a CPU and 1000 GiB of memory: none is alive"),
    ],
)
def test_a_job_that_no_living_worker_serves_says_what_it_waits_for(
    world: World, resources: dict[str, Any], words: str | None
) -> None:
    job = world.job(world.submit(resources=resources))
    with world.database.read() as session:
        assert set(offers.waiting_for(session, [job], alive=ALIVE)) == {job.id}  # nobody is there
    facts = {"name": "a", "hostname": "a", "pid": 1, "slots": SLOTS, "devices": [PROCESSOR]}
    world.do(workers.announce, "worker_1", facts)
    with world.database.read() as session:
        assert offers.waiting_for(session, [job], alive=ALIVE).get(job.id) == words
        assert offers.waiting_for(session, [job], alive=timedelta()).get(job.id) is not None


def test_hints_go_to_the_queue_of_the_device(world: World) -> None:
    facts = {"name": "a", "hostname": "a", "pid": 1, "slots": SLOTS, "devices": [PROCESSOR, *GPUS]}
    world.do(workers.announce, "worker_1", facts)
    job_id = world.submit(resources={"device": "cuda"})
    assert world.do(sweeps.due_hints, stale=ALIVE, alive=ALIVE) == [("train-cuda", job_id)]
