"""Model aliases. They move atomically, and only between versions of the same model name."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from sqlalchemy import select

from registry.db.access_tables import AuditEvent
from registry.errors import AliasMismatch, NotFound
from registry.models import aliases, model_versions
from tests.registry.conftest import RegistryHarness

OWNER = "key_test"


def publish_model(harness: RegistryHarness, name: str) -> str:
    return str(harness.finish(harness.start_job(name=name)))


def list_alias_events(harness: RegistryHarness) -> list[tuple[str | None, str | None]]:
    with harness.database.read() as session:
        rows = session.execute(
            select(AuditEvent).where(AuditEvent.action.like("alias.%")).order_by(AuditEvent.id)
        ).scalars()
        return [(row.data["from"], row.data["to"]) for row in rows]


def test_moves_of_an_alias_are_in_the_audit_log(harness: RegistryHarness) -> None:
    first, second = publish_model(harness, "a"), publish_model(harness, "a")
    assert harness.run(aliases.set_alias, OWNER, "a", "champion", first, actor=OWNER) is None
    assert harness.run(aliases.set_alias, OWNER, "a", "champion", second, actor=OWNER) == first
    harness.run(aliases.delete_alias, OWNER, "a", "champion", actor=OWNER)
    assert list_alias_events(harness) == [(None, first), (first, second), (second, None)]
    with pytest.raises(NotFound):
        harness.run(aliases.delete_alias, OWNER, "a", "champion", actor=OWNER)


def test_an_alias_points_only_at_versions_of_its_name(harness: RegistryHarness) -> None:
    publish_model(harness, "a")
    other = publish_model(harness, "b")
    for model_id in (other, "model_x"):
        with pytest.raises(AliasMismatch):
            harness.run(aliases.set_alias, OWNER, "a", "champion", model_id, actor=OWNER)
    with pytest.raises(NotFound):
        harness.run(aliases.set_alias, "key_other", "b", "champion", other, actor=OWNER)


def test_concurrent_moves_are_serialized(harness: RegistryHarness) -> None:
    versions = [publish_model(harness, "a") for _ in range(3)]

    def move(number: int) -> None:
        harness.run(aliases.set_alias, OWNER, "a", "champion", versions[number % 3], actor=OWNER)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(move, range(24)))
    events = list_alias_events(harness)
    assert events[0][0] is None
    assert all(before[1] == after[0] for before, after in pairwise(events))
    with harness.database.read() as session:
        assert model_versions.find(session, "a@champion", owner=OWNER).id == events[-1][1]


def test_an_owners_names_are_listed_with_versions_and_aliases(harness: RegistryHarness) -> None:
    first, second, other = (
        publish_model(harness, "a"),
        publish_model(harness, "a"),
        publish_model(harness, "b"),
    )
    harness.run(aliases.set_alias, OWNER, "a", "champion", first, actor=OWNER)
    with harness.database.read() as session:
        page = aliases.list_page(session, OWNER, limit=1)
        (last,) = page.items
        (rest,) = aliases.list_page(session, OWNER, cursor=page.next_cursor).items
        assert aliases.list_page(session, "key_other").items == []
        assert aliases.aliases_by_model(session, [first, second]) == {
            first: ["champion"],
            second: [],
        }
    assert (last.name, last.versions, last.latest, last.aliases) == ("b", 1, other, {})
    assert (rest.name, rest.last_version, rest.versions, rest.latest, rest.aliases) == (
        "a",
        2,
        2,
        second,
        {"champion": first},
    )
