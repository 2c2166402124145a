"""Tests that responses conform to /openapi.json.

The requests are generated, and some of them are invalid. A test fails if the
response is a server error, or if its status or body is not documented.
"""

import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import create_app
from registry.access.permissions import Role
from registry.db.database import Database
from registry.db.schema_migrations import upgrade
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue
from tests.api.tenants import MINE, Tenants
from tests.support.schemathesis_config import build_config, make_hypothesis_settings

DOCUMENT = create_app(
    Settings(), Database("sqlite://"), InMemoryJobQueue(), Store("memory:///")
).openapi()


class LazyApp:
    """Stands in for the application during test collection, and later forwards requests to it."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


lazy_app = LazyApp()
schema = schemathesis.openapi.from_dict(DOCUMENT, config=build_config())
schema.app = lazy_app


class SeededApp:
    """An admin key and the ids of one row of every kind in the application's database."""

    def __init__(self, tenants: Tenants) -> None:
        self.key = tenants.create_key(Role.ADMIN)
        rows = tenants.create_rows(MINE)
        self.rows = {**rows, "name": rows["model_name"]}

    def replace_ids(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Replace generated ids with ids of existing rows in two thirds of the requests."""
        keep_generated = zlib.crc32(repr(parameters).encode()) % 3 == 0
        return (
            parameters
            if keep_generated
            else {name: self.rows.get(name, value) for name, value in parameters.items()}
        )


@pytest.fixture(scope="module")
def seeded_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeededApp]:
    settings = Settings(
        data=tmp_path_factory.mktemp("schema"), rate_per_minute=0, rate_unknown_per_minute=0
    )
    upgrade(settings.database_url)
    database, store = Database(settings.database_url), Store(settings.store_url)
    app = create_app(settings, database, InMemoryJobQueue(), store)
    lazy_app.app = app
    yield SeededApp(Tenants(app, database, store))
    database.close()


@schema.parametrize()
@make_hypothesis_settings(5)
def test_every_response_matches_the_schema(case: schemathesis.Case, seeded_app: SeededApp) -> None:
    case.path_parameters = seeded_app.replace_ids(case.path_parameters)
    case.call_and_validate(
        base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {seeded_app.key}"}
    )
