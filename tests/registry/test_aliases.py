"""Aliases move in one step, and only among the versions of their name."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select

from registry import aliases, models
from registry.errors import AliasElsewhere, NotFound
from registry.tables import AuditEvent

World = Any  # tests/registry/conftest.py
OWNER = "key_test"


def made(world: World, name: str) -> str:
    return str(world.finish(world.running(name=name)))


def moves(world: World) -> list[tuple[str | None, str | None]]:
    with world.database.read() as session:
        rows = session.execute(select(AuditEvent).where(AuditEvent.action.like("alias.%")).order_by(AuditEvent.id)).scalars()
        return [(row.data["from"], row.data["to"]) for row in rows]


def test_an_alias_moves_and_the_audit_tells_from_where(world: World) -> None:
    first, second = made(world, "a"), made(world, "a")
    assert world.do(aliases.point, OWNER, "a", "champion", first, actor=OWNER) is None
    assert world.do(aliases.point, OWNER, "a", "champion", second, actor=OWNER) == first
    world.do(aliases.remove, OWNER, "a", "champion", actor=OWNER)
    assert moves(world) == [(None, first), (first, second), (second, None)]
    with pytest.raises(NotFound):
        world.do(aliases.remove, OWNER, "a", "champion", actor=OWNER)


def test_an_alias_points_at_versions_of_its_name_alone(world: World) -> None:
    made(world, "a")
    other = made(world, "b")
    for model_id in (other, "model_x"):
        with pytest.raises(AliasElsewhere):
            world.do(aliases.point, OWNER, "a", "champion", model_id, actor=OWNER)
    with pytest.raises(NotFound):
        world.do(aliases.point, "key_other", "b", "champion", other, actor=OWNER)


def test_moves_at_the_same_time_follow_one_another(world: World) -> None:
    versions = [made(world, "a") for _ in range(3)]

    def move(number: int) -> None:
        world.do(aliases.point, OWNER, "a", "champion", versions[number % 3], actor=OWNER)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(move, range(24)))
    told = moves(world)
    assert told[0][0] is None
    assert all(before[1] == after[0] for before, after in pairwise(told))
    with world.database.read() as session:
        assert models.find(session, "a@champion", owner=OWNER).id == told[-1][1]


def test_the_names_of_an_owner_are_listed_with_what_is_under_them(world: World) -> None:
    first, second, other = made(world, "a"), made(world, "a"), made(world, "b")
    world.do(aliases.point, OWNER, "a", "champion", first, actor=OWNER)
    with world.database.read() as session:
        page = aliases.page(session, OWNER, limit=1)
        (last,) = page.items
        (rest,) = aliases.page(session, OWNER, cursor=page.next_cursor).items
        assert aliases.page(session, "key_other").items == []
        assert aliases.of(session, [first, second]) == {first: ["champion"], second: []}
    assert (last.name, last.versions, last.latest, last.aliases) == ("b", 1, other, {})
    assert (rest.name, rest.last_version, rest.versions, rest.latest, rest.aliases) == ("a", 2, 2, second, {"champion": first})
