"""Spans of the database and the queue."""

import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text

from registry.db import Database
from registry.queue import CeleryQueue
from registry.settings import Settings
from registry.tracing import TracingMissing, traced, wanted


def test_spans_are_wanted_by_the_setting_or_by_the_standard_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not wanted(Settings())
    assert wanted(Settings(tracing=True))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    assert wanted(Settings())


def test_statements_and_hints_are_spans_for_the_block_and_not_after(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, tracing=True)
    database, exporter = Database(settings.database_url), InMemorySpanExporter()
    with traced(settings, "dlkd-test", database.engine, exporter) as provider:
        assert provider is not None
        with database.read() as session:
            session.execute(text("SELECT 42"))
        CeleryQueue(settings).send("train", "job_1")
        provider.force_flush()
        spans = {span.name: span for span in exporter.get_finished_spans()}
    statements = [span.attributes or {} for span in spans.values()]
    assert any("SELECT 42" in map(str, attributes.values()) for attributes in statements)
    assert "apply_async/dlkd.wake" in spans
    assert {span.resource.attributes["service.name"] for span in spans.values()} == {"dlkd-test"}
    told = len(exporter.get_finished_spans())
    with database.read() as session:
        session.execute(text("SELECT 43"))
    assert len(exporter.get_finished_spans()) == told
    database.close()


def test_without_the_libraries_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.sqlalchemy", None)
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(TracingMissing, match=r"install dlkd\[otel\]"), traced(Settings(tracing=True), "x", database.engine):
        pass
    database.close()


def test_nothing_is_loaded_where_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.sqlalchemy", None)
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with traced(Settings(), "x", database.engine) as provider:
        assert provider is None
    database.close()
