"""Whatever is asked, fitting /openapi.json or not, is answered as it promises: no server error, no status or body but those."""

import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import create_app
from registry.access import Role
from registry.db import Database, upgrade
from registry.settings import Settings
from registry.store import Store
from registry.testing import MemoryQueue
from tests.api.people import MINE, People
from tests.promises import config, examples

DOCUMENT = create_app(Settings(), Database("sqlite://"), MemoryQueue(), Store("memory:///")).openapi()


class Door:
    """Stands for the application while the tests are collected, and leads to it when they run."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


door = Door()
schema = schemathesis.openapi.from_dict(DOCUMENT, config=config())
schema.app = door


class World:
    """An application in which there is one of everything."""

    def __init__(self, people: People) -> None:
        self.key = people.key(Role.ADMIN)
        rows = people.rows(MINE)
        self.rows = {**rows, "name": rows["model_name"]}

    def known(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Two times in three the ids of what there is, else those that were made up."""
        made_up = zlib.crc32(repr(parameters).encode()) % 3 == 0
        return parameters if made_up else {name: self.rows.get(name, value) for name, value in parameters.items()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = Settings(data=tmp_path_factory.mktemp("schema"), rate_per_minute=0, rate_unknown_per_minute=0)
    upgrade(settings.database_url)
    database, store = Database(settings.database_url), Store(settings.store_url)
    app = create_app(settings, database, MemoryQueue(), store)
    door.app = app
    yield World(People(app, database, store))
    database.close()


@schema.parametrize()
@examples(5)
def test_every_answer_is_one_that_the_schema_promises(case: schemathesis.Case, world: World) -> None:
    case.path_parameters = world.known(case.path_parameters)
    case.call_and_validate(base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {world.key}"})
