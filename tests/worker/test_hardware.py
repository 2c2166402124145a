"""Tests for the hardware that a worker reports and the limits that it sets for trainers."""

import json
import os

import psutil
import pytest

from registry.settings import Settings
from registry.workers.capacity import worker_capacities
from worker import hardware

GIBIBYTE = 2**30


def test_checks_have_a_slot_of_their_own(settings: Settings) -> None:
    changed = settings.model_copy(update={"slots": 4})
    assert hardware.count_slots(changed) == {"train": 4, "checks": 1}


def test_a_workers_description_is_json(settings: Settings) -> None:
    description = hardware.describe_worker(
        settings.model_copy(update={"worker_name": "big one"}), [hardware.describe_cpu()]
    )
    assert json.loads(json.dumps(description)) == description
    assert (description["name"], description["pid"]) == ("big one", os.getpid())
    assert description["slots"] == {"train": 1, "checks": 1}
    assert description["devices"][0]["kind"] == "cpu"


def test_the_cpu_has_no_more_cores_and_memory_than_the_machine(settings: Settings) -> None:
    cpu = hardware.describe_cpu()
    assert 1 <= cpu["cores"] <= (os.cpu_count() or 1)
    assert 0 < cpu["memory_bytes"] <= psutil.virtual_memory().total
    assert settings.slots == 1


def test_gpus_are_listed_with_their_name_and_memory() -> None:
    for gpu in hardware.list_gpus():  # most test machines have no GPU
        assert gpu["kind"] == "cuda"
        assert gpu["name"] != ""
        assert gpu["memory_bytes"] > GIBIBYTE


@pytest.mark.parametrize(
    ("configured", "slots", "threads"),
    [(3, 2, 3), (None, 1, hardware.count_cores()), (None, 1000, 1)],
)
def test_trainers_share_the_cores_unless_configured_otherwise(
    settings: Settings, configured: int | None, slots: int, threads: int
) -> None:
    changed = settings.model_copy(update={"trainer_threads": configured, "slots": slots})
    assert hardware.trainer_threads(changed) == threads


def test_trainers_share_the_memory_and_leave_some(settings: Settings) -> None:
    full, half = (
        hardware.trainer_memory_bytes(settings.model_copy(update={"slots": slots}))
        for slots in (1, 2)
    )
    assert full < hardware.total_memory_bytes()
    assert abs(full - 2 * half) <= 2
    configured = settings.model_copy(update={"trainer_memory_bytes": GIBIBYTE, "slots": 2})
    assert hardware.trainer_memory_bytes(configured) == GIBIBYTE


def test_a_workers_capacity_can_be_read_from_its_row(settings: Settings) -> None:
    gpu = {"kind": "cuda", "name": "big", "memory_bytes": 80 * GIBIBYTE}
    devices = [hardware.describe_cpu(), gpu]
    row = json.loads(json.dumps(hardware.describe_worker(settings, devices)))
    assert hardware.list_capacity(settings, devices) == worker_capacities(
        row["slots"], row["devices"]
    )
    memory = {
        entry.queue: entry.memory_bytes for entry in hardware.list_capacity(settings, devices)
    }
    share = hardware.trainer_memory_bytes(settings)
    assert memory == {
        "checks": None,
        "train": 80 * GIBIBYTE,
        "train-cpu": share,
        "train-cuda": 80 * GIBIBYTE,
    }
