"""The application, put together from its parts. No torch comes with it."""

from anyio import CapacityLimiter
from fastapi import FastAPI
from starlette.middleware import Middleware

from api import openapi, problems
from api.deps import Services, bearer
from api.middleware import BodyLimit, Hosts, Keys, Names, Uniform
from api.routes import catalog, datasets, events, health, jobs, models, pages, teachers
from api.uploads import body_limit
from dlkd_core import __version__
from registry.artifacts import Store
from registry.db import Database
from registry.queue import Queue
from registry.settings import Settings

_BODY_BYTES = 2**20  # of a request without a file
_UPLOADS_AT_ONCE = 8


def create_app(settings: Settings, database: Database, queue: Queue, store: Store) -> FastAPI:
    """The service over these parts; the caller opens and closes them."""
    larger = dict.fromkeys((teachers.PATH, datasets.PATH), body_limit(settings.max_upload_bytes))
    app = FastAPI(
        title="Knowledge distillation as a service",
        version=__version__,
        docs_url=None,  # FastAPI's own page loads its scripts from another host; ours is in routes/pages.py
        redoc_url=None,
        middleware=[
            Middleware(Names),
            Middleware(Uniform),
            Middleware(Hosts, allowed=settings.host_names),
            Middleware(Keys, database=database),
            Middleware(BodyLimit, limit=_BODY_BYTES, larger=larger),
        ],
    )
    app.state.services = Services(settings, database, queue, store, CapacityLimiter(_UPLOADS_AT_ONCE))
    problems.install(app)
    openapi.install(app)
    for routes in (teachers, datasets, jobs, events, models, catalog):
        app.include_router(routes.router, dependencies=[bearer])
    app.include_router(health.router)
    app.include_router(pages.router)
    return app
