"""Trace spans of requests."""

from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from api.observability.tracing import trace_app
from registry.db.database import Database
from registry.settings import Settings


def test_a_request_is_a_span_with_its_route_and_child_spans_of_its_statements(
    app: FastAPI, database: Database, key: str
) -> None:
    exporter = InMemorySpanExporter()
    settings = Settings(tracing=True)
    with (
        trace_app(settings, database.engine, app, exporter),
        TestClient(app, base_url="http://127.0.0.1:8000") as client,
    ):
        client.get("/v1/jobs/job_1", headers={"Authorization": f"Bearer {key}"})
        client.get("/livez")
    spans = exporter.get_finished_spans()
    requests = [span for span in spans if span.kind is SpanKind.SERVER]
    assert [span.name for span in requests] == ["GET /v1/jobs/{job_id}"]
    children = [
        span for span in spans if span.parent and span.parent.span_id == requests[0].context.span_id
    ]
    assert any(span.name.startswith("SELECT") for span in children)
    assert not any(key in str(span.to_json()) for span in spans)


def test_the_application_is_unchanged_if_tracing_is_disabled(
    app: FastAPI, database: Database
) -> None:
    before = list(app.user_middleware)
    with trace_app(Settings(), database.engine, app):
        assert app.user_middleware == before
