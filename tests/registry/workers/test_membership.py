"""Worker registration and leader election."""

from datetime import timedelta

from registry.workers import membership
from tests.registry.conftest import RegistryHarness

LATER = timedelta(seconds=60)
WORKER = {"name": "a", "hostname": "a", "pid": 1, "slots": {"train": 2, "checks": 1}, "devices": []}


def test_a_leader_keeps_its_role_until_it_resigns_or_its_time_is_over(
    harness: RegistryHarness,
) -> None:
    assert harness.run(membership.acquire_leadership, "dispatcher", "a", LATER)
    assert not harness.run(membership.acquire_leadership, "dispatcher", "b", LATER)
    # The leadership expires at once.
    assert harness.run(membership.acquire_leadership, "dispatcher", "a", timedelta())
    assert harness.run(membership.acquire_leadership, "dispatcher", "b", LATER)
    assert not harness.run(membership.acquire_leadership, "dispatcher", "a", LATER)
    harness.run(membership.release_leadership, "dispatcher", "b")
    assert harness.run(membership.acquire_leadership, "dispatcher", "a", LATER)


def test_a_worker_is_registered_seen_and_pruned(harness: RegistryHarness) -> None:
    assert not harness.run(membership.record_heartbeat, "worker_1")
    harness.run(membership.register, "worker_1", WORKER)
    assert harness.run(membership.record_heartbeat, "worker_1")
    assert [row.id for row in harness.run(membership.list_alive, within=LATER)] == ["worker_1"]
    harness.run(membership.prune, silent_for=LATER)
    assert harness.run(membership.record_heartbeat, "worker_1")
    harness.run(membership.prune, silent_for=timedelta(seconds=-1))
    assert not harness.run(membership.record_heartbeat, "worker_1")
