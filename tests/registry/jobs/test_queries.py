"""Job queries: filters, pagination, events and metrics."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import text

from registry.attempts import claims
from registry.attempts.claims import AttemptUpdate, MetricPoint
from registry.db.job_tables import Job
from registry.errors import CursorInvalid, LabelInvalid, NotFound
from registry.jobs import controls, queries
from registry.jobs.lifecycle import JobStatus
from registry.jobs.queries import JobFilters
from tests.registry.conftest import RegistryHarness

PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def three_jobs(harness: RegistryHarness) -> dict[str, str]:
    """Submit three jobs and return their ids by name."""
    dataset = {"id": harness.add_ready_dataset()}
    teacher = {"id": harness.add_ready_teacher()}
    return {
        "plain one": harness.submit(
            dataset=dataset, name="plain one", labels={"team": "vision", "run": "1"}
        ),
        "Distilled 100%": harness.submit(
            dataset=dataset, teacher=teacher, name="Distilled 100%", labels={"team": "vision"}
        ),
        "other": harness.submit(
            dataset=dataset,
            name="other",
            student={"architecture": "resnet14"},
            labels={"team": "audio"},
        ),
    }


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (JobFilters(), ["other", "Distilled 100%", "plain one"]),
        (
            JobFilters(status=(JobStatus.QUEUED, JobStatus.RUNNING)),
            ["other", "Distilled 100%", "plain one"],
        ),
        (JobFilters(status=(JobStatus.FAILED,)), []),
        (JobFilters(labels=(("team", "vision"),)), ["Distilled 100%", "plain one"]),
        (JobFilters(labels=(("team", "vision"), ("run", "1"))), ["plain one"]),
        (JobFilters(labels=(("team", "1"),)), []),
        (JobFilters(owner="key_test"), ["other", "Distilled 100%", "plain one"]),
        (JobFilters(owner="key_other"), []),
        (JobFilters(method="dlkd_auto"), ["Distilled 100%"]),
        (JobFilters(student="resnet14"), ["other"]),
        (
            JobFilters(created_after=PAST, created_before=FUTURE),
            ["other", "Distilled 100%", "plain one"],
        ),
        (JobFilters(created_after=FUTURE), []),
        (JobFilters(created_before=PAST), []),
        (JobFilters(name="DIST"), ["Distilled 100%"]),
        (JobFilters(name="0%"), ["Distilled 100%"]),
        (JobFilters(name="_"), []),
        (JobFilters(method="plain", labels=(("team", "vision"),), name="one"), ["plain one"]),
    ],
)
def test_a_list_has_the_jobs_that_match_all_filters(
    harness: RegistryHarness, three_jobs: dict[str, str], filters: JobFilters, names: list[str]
) -> None:
    with harness.database.read() as session:
        assert [job.id for job in queries.list_page(session, filters).items] == [
            three_jobs[name] for name in names
        ]


def test_jobs_can_be_filtered_by_data_set_and_teacher(
    harness: RegistryHarness, three_jobs: dict[str, str]
) -> None:
    other = harness.submit(dataset={"id": harness.add_ready_dataset()})
    with harness.database.read() as session:
        distilled = queries.get(session, three_jobs["Distilled 100%"])

        def list_ids(**filters: Any) -> set[str]:
            return {job.id for job in queries.list_page(session, JobFilters(**filters)).items}

        assert list_ids(dataset=distilled.dataset_id) == set(three_jobs.values())
        assert list_ids(dataset=queries.get(session, other).dataset_id) == {other}
        assert list_ids(teacher=distilled.teacher_id) == {distilled.id}
        assert list_ids(teacher="teacher_0") == set()


def test_jobs_can_be_filtered_by_a_model_that_is_their_teacher(harness: RegistryHarness) -> None:
    model = harness.finish(harness.start_job())
    student = harness.submit(teacher={"model_id": model})
    with harness.database.read() as session:
        assert [job.id for job in queries.list_page(session, JobFilters(teacher=model)).items] == [
            student
        ]


def test_checks_are_not_listed(harness: RegistryHarness) -> None:
    harness.upload_dataset()
    with harness.database.read() as session:
        assert queries.list_page(session, JobFilters(owner="key_test")).items == []


def test_filtered_pages_have_no_gaps_and_no_duplicates(harness: RegistryHarness) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    labeled = [
        harness.submit(dataset=dataset, labels={"n": str(number % 2)}) for number in range(9)
    ][::2]
    listed, cursor = [], None
    while True:
        with harness.database.read() as session:
            page = queries.list_page(
                session, JobFilters(labels=(("n", "0"),)), limit=2, cursor=cursor
            )
        listed += [job.id for job in page.items]
        harness.submit(dataset=dataset, labels={"n": "0"})  # newer jobs do not affect later pages
        cursor = page.next_cursor
        if cursor is None:
            break
    assert listed == labeled[::-1]


@pytest.mark.parametrize("label", ["team", ":vision", ""])
def test_a_label_without_key_or_colon_is_refused(label: str) -> None:
    with pytest.raises(LabelInvalid):
        queries.parse_label(label)


def test_the_value_of_a_label_may_contain_colons() -> None:
    assert queries.parse_label("url:http://x") == ("url", "http://x")


def test_there_are_indexes_for_labels_and_statuses(harness: RegistryHarness) -> None:
    queries_by_dialect = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
        "postgresql": "SELECT indexname FROM pg_indexes",
    }
    with harness.database.read() as session:
        indexes = set(
            session.execute(text(queries_by_dialect[session.get_bind().dialect.name])).scalars()
        )
    assert {
        "ix_job_labels_found",
        "ix_jobs_status_id",
        "ix_jobs_expiry",
        "ix_jobs_created_at",
    } <= indexes


def test_sqlite_uses_the_indexes_for_labels_and_statuses(harness: RegistryHarness) -> None:
    with harness.database.read() as session:
        if session.get_bind().dialect.name != "sqlite":
            pytest.skip("PostgreSQL scans tables as small as these")
        for filters, index in (
            (JobFilters(labels=(("a", "b"),)), "JobLabel"),
            (JobFilters(status=(JobStatus.QUEUED,)), "status"),
        ):
            query = queries._filter_jobs(filters).order_by(Job.id.desc()).limit(10)
            sql = str(query.compile(session.get_bind(), compile_kwargs={"literal_binds": True}))
            plan = " ".join(str(row) for row in session.execute(text(f"EXPLAIN QUERY PLAN {sql}")))
            assert "SEARCH" in plan, (index, plan)


def test_jobs_can_be_filtered_by_creation_time(
    harness: RegistryHarness, three_jobs: dict[str, str]
) -> None:
    def move_back_one_hour(session: Any) -> None:
        job = session.get_one(Job, three_jobs["other"])
        job.created_at -= timedelta(hours=1)

    harness.run(move_back_one_hour)
    boundary = harness.get_job(three_jobs["plain one"]).created_at - timedelta(minutes=30)
    with harness.database.read() as session:
        assert [
            job.id for job in queries.list_page(session, JobFilters(created_before=boundary)).items
        ] == [three_jobs["other"]]


def test_pages_list_all_jobs_from_newest_to_oldest(harness: RegistryHarness) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    submitted = [harness.submit(dataset=dataset) for _ in range(5)]
    listed: list[str] = []
    cursor = None
    while True:
        with harness.database.read() as session:
            page = queries.list_page(session, limit=2, cursor=cursor)
        listed.extend(job.id for job in page.items)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert listed == submitted[::-1]


def test_jobs_can_be_filtered_by_status(harness: RegistryHarness) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    waiting, cancelled = harness.submit(dataset=dataset), harness.submit(dataset=dataset)
    harness.run(controls.cancel, cancelled, actor="key")
    with harness.database.read() as session:
        assert [
            job.id
            for job in queries.list_page(session, JobFilters(status=(JobStatus.QUEUED,))).items
        ] == [waiting]


@pytest.mark.parametrize("cursor", ["ü", "a", "////"])
def test_an_invalid_cursor_is_refused(harness: RegistryHarness, cursor: str) -> None:
    with harness.database.read() as session, pytest.raises(CursorInvalid):
        queries.list_page(session, cursor=cursor)


def test_checks_are_hidden_from_clients(harness: RegistryHarness) -> None:
    harness.upload_teacher()
    check = harness.claim("checks")
    with harness.database.read() as session, pytest.raises(NotFound):
        queries.get(session, check.job_id)
    with pytest.raises(NotFound):
        harness.run(controls.cancel, check.job_id, actor="key")
    with harness.database.read() as session:
        assert queries.list_page(session).items == []


def test_events_are_numbered_and_read_by_cursor(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    harness.run(
        claims.record_update,
        claim,
        AttemptUpdate(events=[("notice", {"message": "hello"}), ("notice", {"message": "again"})]),
    )
    with harness.database.read() as session:
        events = queries.list_events(session, claim.job_id)
        assert [event.seq for event in events] == [1, 2, 3, 4, 5]
        assert [event.data.get("to") for event in events[:3]] == ["queued", "starting", "running"]
        assert [
            event.data["message"] for event in queries.list_events(session, claim.job_id, after=3)
        ] == ["hello", "again"]


def test_metrics_are_thinned_evenly_and_keep_first_and_last_point(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    points = [
        MetricPoint(step, 1, {"train/loss": float(step), "rate": 0.1}) for step in range(1, 101)
    ]
    harness.run(claims.record_update, claim, AttemptUpdate(points=points))
    with harness.database.read() as session:
        rows = queries.list_metrics(session, claim.job_id, names=["train/loss"], max_points=10)
    steps = [row.step for row in rows]
    assert len(steps) <= 10
    assert (steps[0], steps[-1]) == (1, 100)
    assert {row.name for row in rows} == {"train/loss"}
    gaps = {after - before for before, after in pairwise(steps[:-1])}
    assert len(gaps) == 1


def test_a_later_attempt_overwrites_repeated_steps(harness: RegistryHarness) -> None:
    first = harness.start_job()
    harness.run(
        claims.record_update,
        first,
        AttemptUpdate(points=[MetricPoint(1, 1, {"loss": 3.0}), MetricPoint(2, 1, {"loss": 2.0})]),
    )
    harness.run(claims.release, first)
    second = harness.claim()
    harness.run(
        claims.record_update,
        second,
        AttemptUpdate(
            points=[MetricPoint(2, 1, {"loss": 1.0}), MetricPoint(3, 1, {"loss": float("nan")})]
        ),
    )
    with harness.database.read() as session:
        rows = queries.list_metrics(session, first.job_id)
    assert [(row.step, row.attempt, row.value) for row in rows] == [
        (1, 1, 3.0),
        (2, 2, 1.0),
        (3, 2, None),
    ]
