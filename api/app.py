"""The application, put together from its parts. No torch comes with it."""

from anyio import CapacityLimiter
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Info, ProcessCollector
from starlette.middleware import Middleware

from api import openapi, problems
from api.access import admitted
from api.collector import Rows
from api.deps import Services, bearer
from api.issuer import Issuer
from api.meter import Meter, Requests
from api.middleware import BodyLimit, Hosts, Keys, Names, Tus, Uniform
from api.rates import Rates
from api.routes import (
    audit,
    cards,
    catalog,
    controls,
    datasets,
    events,
    files,
    health,
    imports,
    jobs,
    keys,
    login,
    logs,
    metrics,
    models,
    names,
    pages,
    portal,
    queues,
    quotas,
    sessions,
    teachers,
    uploads,
    webhooks,
    workers,
)
from api.uploads import body_limit
from dlkd_core import __version__
from registry.db import Database
from registry.queue import Queue
from registry.settings import Settings
from registry.store import Store

_BODY_BYTES = 2**20  # of a request without a file
_UPLOADS_AT_ONCE = 8
_GUARDED = (
    uploads,
    teachers,
    datasets,
    jobs,
    controls,
    events,
    logs,
    models,
    imports,
    cards,
    files,
    names,
    catalog,
    keys,
    sessions,
    audit,
    quotas,
    webhooks,
    workers,
    queues,
)


def create_app(settings: Settings, database: Database, queue: Queue, store: Store) -> FastAPI:
    """The service over these parts; the caller opens and closes them."""
    larger = dict.fromkeys((uploads.PATH, teachers.PATH, datasets.PATH, imports.PATH), body_limit(settings.max_upload_bytes))
    numbers = _numbers(database)
    issuer = Issuer(settings) if settings.oidc_issuer else None
    app = FastAPI(
        title="Knowledge distillation as a service",
        version=__version__,
        docs_url=None,  # FastAPI's own page loads its scripts from another host; ours is in routes/pages.py
        redoc_url=None,
        middleware=[
            Middleware(Meter, requests=Requests(numbers)),
            Middleware(Names),
            Middleware(Tus, path=uploads.PATH, version=uploads.VERSION),
            Middleware(Uniform),
            Middleware(Hosts, allowed=settings.host_names, exempt=_unnamed(settings)),
            Middleware(Keys, database=database, issuer=issuer, rates=Rates(settings)),
            Middleware(BodyLimit, limit=_BODY_BYTES, larger=larger),
        ],
    )
    app.state.metrics = numbers
    app.state.issuer = issuer
    app.state.services = parts = Services(settings, database, queue, store, CapacityLimiter(_UPLOADS_AT_ONCE))
    app.state.probes = health.probes_of(parts)
    problems.install(app)
    openapi.install(app)
    for routes in _GUARDED:
        app.include_router(routes.router, dependencies=[bearer, admitted])
    app.include_router(files.signed)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(pages.router)
    app.include_router(login.router)
    app.include_router(portal.router)
    return app


def _numbers(database: Database) -> CollectorRegistry:
    """What /metrics shows, beside the requests that `Meter` counts."""
    numbers = CollectorRegistry()
    ProcessCollector(registry=numbers)
    Info("dlkd_build", "The program", registry=numbers).info({"version": __version__})
    numbers.register(Rows(database, health.ALIVE))
    return numbers


def _unnamed(settings: Settings) -> tuple[str, ...]:
    """A scraper calls each process by its address."""
    return (metrics.PATH,) if settings.metrics in {"key", "token"} else ()
