"""OpenTelemetry tracing of requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from sqlalchemy import Engine

from registry.observability import tracing
from registry.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_EXCLUDED_URLS = "livez,readyz,metrics"  # polled every few seconds


@contextmanager
def trace_app(
    settings: Settings, engine: Engine, app: FastAPI, exporter: "SpanExporter | None" = None
) -> Iterator[None]:
    """Trace the application, database and queue within the `with` block if tracing is enabled.

    Raises:
        TracingUnavailable: Tracing is enabled, but the extra `otel` is not installed.
    """
    with tracing.trace_service(settings, "dlkd-api", engine, exporter) as provider:
        if provider is None:
            yield
            return
        try:
            from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise tracing.TracingUnavailable(f"{error}: install dlkd[otel].") from error
        FastAPIInstrumentor.instrument_app(
            app, tracer_provider=provider, excluded_urls=_EXCLUDED_URLS
        )
        try:
            yield
        finally:
            FastAPIInstrumentor.uninstrument_app(app)
