"""OpenTelemetry, for those who collect spans: the libraries' own instrumentation, and nothing at all unless it is asked for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from dlkd_core import __version__
from registry.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class TracingMissing(Exception):
    """Spans were asked for, and the libraries are not installed."""


def wanted(settings: Settings) -> bool:
    """Whether the settings, or OpenTelemetry's own variables, ask for spans."""
    return settings.tracing or any(os.environ.get(name) for name in _ENDPOINTS)


@contextmanager
def traced(
    settings: Settings, service: str, engine: Engine, exporter: "SpanExporter | None" = None
) -> Iterator["TracerProvider | None"]:
    """Spans of the database and the queue for the block, sent over OTLP; None where nobody wants them.

    Raises:
        TracingMissing: without the extra `otel`.
    """
    if not wanted(settings):
        yield None
        return
    try:
        from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415 - an extra
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor  # noqa: PLC0415 - as above
    except ImportError as error:
        raise TracingMissing(f"{error}: install dlkd[otel], or unset DLKD_TRACING and OTEL_EXPORTER_OTLP_ENDPOINT.") from error
    provider = _provider(service, exporter)
    celery = CeleryInstrumentor()  # type: ignore[no-untyped-call] # their constructor has no types
    # It asks for SQLAlchemy below 2.1; the events that it listens to are the same there, and a test sees the spans.
    SQLAlchemyInstrumentor().instrument(engine=engine, tracer_provider=provider, skip_dep_check=True)
    celery.instrument(tracer_provider=provider)
    try:
        yield provider
    finally:
        celery.uninstrument()
        SQLAlchemyInstrumentor().uninstrument()
        provider.shutdown()


def _provider(service: str, exporter: "SpanExporter | None") -> "TracerProvider":
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have the last word about names, OTEL_EXPORTER_OTLP_… about the way."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    names = Resource({"service.name": service, "service.version": __version__}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=names, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    return provider
