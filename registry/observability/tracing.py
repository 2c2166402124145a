"""OpenTelemetry tracing of the database and the queue. It is disabled by default."""

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

_ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class TracingUnavailable(Exception):
    """Tracing is enabled, but the OpenTelemetry libraries are not installed."""


def is_enabled(settings: Settings) -> bool:
    """Return whether the settings or OpenTelemetry's environment variables enable tracing."""
    return settings.tracing or any(os.environ.get(name) for name in _ENDPOINT_VARIABLES)


@contextmanager
def trace_service(
    settings: Settings, service: str, engine: Engine, exporter: "SpanExporter | None" = None
) -> Iterator["TracerProvider | None"]:
    """Trace the database and the queue within the `with` block, and export spans over OTLP.

    Yields the tracer provider, or None if tracing is disabled.

    Raises:
        TracingUnavailable: The extra `otel` is not installed.
    """
    if not is_enabled(settings):
        yield None
        return
    try:
        from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415 - optional
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor  # noqa: PLC0415 - optional
    except ImportError as error:
        raise TracingUnavailable(
            f"{error}. Install dlkd[otel], or unset DLKD_TRACING and OTEL_EXPORTER_OTLP_ENDPOINT."
        ) from error
    provider = _make_provider(service, exporter)
    celery = CeleryInstrumentor()  # type: ignore[no-untyped-call] # untyped constructor
    # The dependency check is skipped, because it requires SQLAlchemy below 2.1. The events that the
    # instrumentation uses are the same in 2.1, and a test covers the spans.
    SQLAlchemyInstrumentor().instrument(
        engine=engine, tracer_provider=provider, skip_dep_check=True
    )
    celery.instrument(tracer_provider=provider)
    try:
        yield provider
    finally:
        celery.uninstrument()
        SQLAlchemyInstrumentor().uninstrument()
        provider.shutdown()


def _make_provider(service: str, exporter: "SpanExporter | None") -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - optional
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - optional
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - optional
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - optional

    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override these attributes. The
    # OTEL_EXPORTER_OTLP_… variables configure the exporter.
    resource = Resource({"service.name": service, "service.version": __version__}).merge(
        OTELResourceDetector().detect()
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    return provider
