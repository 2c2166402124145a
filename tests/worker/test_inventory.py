"""What a worker says of its machine, and what it gives to its trainers."""

import json
import os

import psutil
import pytest

from registry.offers import offers_of
from registry.settings import Settings
from worker import inventory

GIBIBYTE = 2**30


def test_checks_have_a_slot_beside_those_of_training(settings: Settings) -> None:
    assert inventory.slots(settings.model_copy(update={"slots": 4})) == {"train": 4, "checks": 1}


def test_a_worker_says_who_it_is_in_json(settings: Settings) -> None:
    facts = inventory.facts(settings.model_copy(update={"worker_name": "big one"}), [inventory.processor()])
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["name"], facts["pid"], facts["slots"]) == ("big one", os.getpid(), {"train": 1, "checks": 1})
    assert facts["devices"][0]["kind"] == "cpu"


def test_the_processor_has_no_more_than_the_machine(settings: Settings) -> None:
    processor = inventory.processor()
    assert 1 <= processor["cores"] <= (os.cpu_count() or 1)
    assert 0 < processor["memory_bytes"] <= psutil.virtual_memory().total
    assert settings.slots == 1


def test_gpus_are_told_with_their_name_and_memory() -> None:
    for gpu in inventory.gpus():  # none on most machines that run this
        assert (gpu["kind"], gpu["name"] != "", gpu["memory_bytes"] > GIBIBYTE) == ("cuda", True, True)


@pytest.mark.parametrize(("told", "slots", "threads"), [(3, 2, 3), (None, 1, inventory.cores()), (None, 1000, 1)])
def test_trainers_share_the_cores_unless_it_is_said_otherwise(
    settings: Settings, told: int | None, slots: int, threads: int
) -> None:
    changed = settings.model_copy(update={"trainer_threads": told, "slots": slots})
    assert inventory.trainer_threads(changed) == threads


def test_trainers_share_the_memory_and_leave_some(settings: Settings) -> None:
    one, two = (inventory.trainer_memory(settings.model_copy(update={"slots": slots})) for slots in (1, 2))
    assert one < inventory.memory_bytes()
    assert abs(one - 2 * two) <= 2
    assert inventory.trainer_memory(settings.model_copy(update={"trainer_memory_bytes": GIBIBYTE, "slots": 2})) == GIBIBYTE


def test_a_worker_offers_what_its_row_tells_others(settings: Settings) -> None:
    gpu = {"kind": "cuda", "name": "big", "memory_bytes": 80 * GIBIBYTE}
    devices = [inventory.processor(), gpu]
    row = json.loads(json.dumps(inventory.facts(settings, devices)))
    assert inventory.offers(settings, devices) == offers_of(row["slots"], row["devices"])
    memory = {offer.queue: offer.memory_bytes for offer in inventory.offers(settings, devices)}
    share = inventory.trainer_memory(settings)
    assert memory == {"checks": None, "train": 80 * GIBIBYTE, "train-cpu": share, "train-cuda": 80 * GIBIBYTE}
