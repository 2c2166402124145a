"""Trace spans of database queries and queue messages."""

import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text

from registry.db.database import Database
from registry.jobs.job_queue import CeleryJobQueue
from registry.observability.tracing import TracingUnavailable, is_enabled, trace_service
from registry.settings import Settings


def test_tracing_is_enabled_by_the_setting_or_by_standard_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not is_enabled(Settings())
    assert is_enabled(Settings(tracing=True))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    assert is_enabled(Settings())


def test_statements_and_queue_messages_are_traced_only_within_the_block(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, tracing=True)
    database, exporter = Database(settings.database_url), InMemorySpanExporter()
    with trace_service(settings, "dlkd-test", database.engine, exporter) as provider:
        assert provider is not None
        with database.read() as session:
            session.execute(text("SELECT 42"))
        CeleryJobQueue(settings).send("train", "job_1")
        provider.force_flush()
        spans = {span.name: span for span in exporter.get_finished_spans()}
    statements = [span.attributes or {} for span in spans.values()]
    assert any("SELECT 42" in map(str, attributes.values()) for attributes in statements)
    assert "apply_async/dlkd.wake" in spans
    assert {span.resource.attributes["service.name"] for span in spans.values()} == {"dlkd-test"}
    count = len(exporter.get_finished_spans())
    with database.read() as session:
        session.execute(text("SELECT 43"))
    assert len(exporter.get_finished_spans()) == count
    database.close()


def test_missing_libraries_are_reported_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.sqlalchemy", None)
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with (
        pytest.raises(TracingUnavailable, match=r"Install dlkd\[otel\]"),
        trace_service(Settings(tracing=True), "x", database.engine),
    ):
        pass
    database.close()


def test_nothing_is_imported_unless_tracing_is_enabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.sqlalchemy", None)
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with trace_service(Settings(), "x", database.engine) as provider:
        assert provider is None
    database.close()
