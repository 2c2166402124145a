"""The FastAPI application, assembled from its services, middleware and routes."""

from anyio import CapacityLimiter
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Info, ProcessCollector
from starlette.middleware import Middleware

from api import openapi, problems
from api.auth.oidc import Issuer
from api.auth.permissions import access_check
from api.deps import Services, bearer_auth
from api.middleware.authentication import AuthenticationMiddleware
from api.middleware.body_limit import BodyLimitMiddleware
from api.middleware.problem_details import ProblemDetailsMiddleware
from api.middleware.rate_limiter import RateLimiter
from api.middleware.request_id import RequestIdMiddleware
from api.middleware.request_metrics import RequestMetrics, RequestMetricsMiddleware
from api.middleware.trusted_hosts import TrustedHostsMiddleware
from api.middleware.tus_protocol import TusProtocolMiddleware
from api.observability.service_metrics import ServiceMetricsCollector
from api.routes import (
    audit,
    browser_login,
    browser_sessions,
    catalog,
    datasets,
    docs_page,
    health,
    job_actions,
    job_events,
    job_logs,
    jobs,
    keys,
    model_cards,
    model_files,
    model_imports,
    model_registry,
    models,
    portal,
    prometheus,
    queues,
    quotas,
    teachers,
    uploads,
    webhooks,
    workers,
)
from api.uploads import tus
from api.uploads.form_parser import get_max_body_bytes
from dlkd_core import __version__
from registry.db.database import Database
from registry.jobs.job_queue import JobQueue
from registry.settings import Settings
from registry.storage.object_store import Store

_MAX_BODY_BYTES = 2**20  # limit for requests without a file
_MAX_CONCURRENT_UPLOADS = 8
_AUTHENTICATED_ROUTES = (
    uploads,
    teachers,
    datasets,
    jobs,
    job_actions,
    job_events,
    job_logs,
    models,
    model_imports,
    model_cards,
    model_files,
    model_registry,
    catalog,
    keys,
    browser_sessions,
    audit,
    quotas,
    webhooks,
    workers,
    queues,
)
_PUBLIC_ROUTERS = (
    model_files.signed_router,
    health.router,
    prometheus.router,
    docs_page.router,
    browser_login.router,
    portal.router,
)


def create_app(settings: Settings, database: Database, queue: JobQueue, store: Store) -> FastAPI:
    """Return the application. The caller opens and closes the services."""
    metrics_registry = _build_metrics_registry(database)
    issuer = Issuer(settings) if settings.oidc_issuer else None
    app = FastAPI(
        title="Knowledge distillation as a service",
        version=__version__,
        # FastAPI's own page loads scripts from a CDN; routes/docs_page.py replaces it.
        docs_url=None,
        redoc_url=None,
        middleware=_build_middleware(settings, database, issuer, metrics_registry),
        exception_handlers=problems.ERROR_HANDLERS,
    )
    services = Services(settings, database, queue, store, CapacityLimiter(_MAX_CONCURRENT_UPLOADS))
    app.state.metrics_registry = metrics_registry
    app.state.issuer = issuer
    app.state.services = services
    app.state.probe_runner = health.build_probe_runner(services)
    openapi.install_openapi(app)
    for routes in _AUTHENTICATED_ROUTES:
        app.include_router(routes.router, dependencies=[bearer_auth, access_check])
    for router in _PUBLIC_ROUTERS:
        app.include_router(router)
    return app


def _build_middleware(
    settings: Settings,
    database: Database,
    issuer: Issuer | None,
    metrics_registry: CollectorRegistry,
) -> list[Middleware]:
    """Return the middleware, outermost first."""
    upload_paths = (uploads.PATH, teachers.PATH, datasets.PATH, model_imports.PATH)
    return [
        Middleware(RequestMetricsMiddleware, metrics=RequestMetrics(metrics_registry)),
        Middleware(RequestIdMiddleware),
        Middleware(TusProtocolMiddleware, path=uploads.PATH, version=tus.VERSION),
        Middleware(ProblemDetailsMiddleware),
        Middleware(
            TrustedHostsMiddleware,
            allowed_hosts=settings.host_names,
            # Prometheus scrapes each process at its IP address instead of a host name.
            exempt_paths=(prometheus.PATH,) if settings.metrics in {"key", "token"} else (),
        ),
        Middleware(
            AuthenticationMiddleware,
            database=database,
            issuer=issuer,
            rate_limiter=RateLimiter(settings),
        ),
        Middleware(
            BodyLimitMiddleware,
            limit=_MAX_BODY_BYTES,
            limits_by_path=dict.fromkeys(
                upload_paths, get_max_body_bytes(settings.max_upload_bytes)
            ),
        ),
    ]


def _build_metrics_registry(database: Database) -> CollectorRegistry:
    """Return a registry with the metrics of the process, the build and the service.

    `RequestMetrics` adds the metrics of requests.
    """
    metrics_registry = CollectorRegistry()
    ProcessCollector(registry=metrics_registry)
    build_info = Info("dlkd_build", "Version of the program.", registry=metrics_registry)
    build_info.info({"version": __version__})
    metrics_registry.register(ServiceMetricsCollector(database, health.WORKER_TIMEOUT))
    return metrics_registry
