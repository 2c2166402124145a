"""Spans of requests, where they are wanted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from sqlalchemy import Engine

from registry import tracing
from registry.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_UNTOLD = "livez,readyz,metrics"  # asked every few seconds


@contextmanager
def traced(settings: Settings, engine: Engine, app: FastAPI, exporter: "SpanExporter | None" = None) -> Iterator[None]:
    """Spans of the application, its database and its queue for the block. Raises `TracingMissing` as `registry.tracing` does."""
    with tracing.traced(settings, "dlkd-api", engine, exporter) as provider:
        if provider is None:
            yield
            return
        try:
            from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise tracing.TracingMissing(f"{error}: install dlkd[otel].") from error
        FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls=_UNTOLD)
        try:
            yield
        finally:
            FastAPIInstrumentor.uninstrument_app(app)
