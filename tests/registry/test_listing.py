"""Lists of jobs under filters."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from registry import jobs, listing
from registry.errors import LabelMalformed
from registry.lifecycle import JobStatus
from registry.listing import Filters

World = Any  # tests/registry/conftest.py
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def three(world: World) -> dict[str, str]:
    """Jobs by name."""
    dataset = {"id": world.ready_dataset()}
    teacher = {"id": world.ready_teacher()}
    return {
        "plain one": world.submit(dataset=dataset, name="plain one", labels={"team": "vision", "run": "1"}),
        "Distilled 100%": world.submit(dataset=dataset, teacher=teacher, name="Distilled 100%", labels={"team": "vision"}),
        "other": world.submit(dataset=dataset, name="other", student={"architecture": "resnet14"}, labels={"team": "audio"}),
    }


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (Filters(), ["other", "Distilled 100%", "plain one"]),
        (Filters(status=(JobStatus.QUEUED, JobStatus.RUNNING)), ["other", "Distilled 100%", "plain one"]),
        (Filters(status=(JobStatus.FAILED,)), []),
        (Filters(labels=(("team", "vision"),)), ["Distilled 100%", "plain one"]),
        (Filters(labels=(("team", "vision"), ("run", "1"))), ["plain one"]),
        (Filters(labels=(("team", "1"),)), []),
        (Filters(owner="key_test"), ["other", "Distilled 100%", "plain one"]),
        (Filters(owner="key_other"), []),
        (Filters(method="dlkd"), ["Distilled 100%"]),
        (Filters(student="resnet14"), ["other"]),
        (Filters(created_after=PAST, created_before=FUTURE), ["other", "Distilled 100%", "plain one"]),
        (Filters(created_after=FUTURE), []),
        (Filters(created_before=PAST), []),
        (Filters(name="DIST"), ["Distilled 100%"]),
        (Filters(name="0%"), ["Distilled 100%"]),
        (Filters(name="_"), []),
        (Filters(method="plain", labels=(("team", "vision"),), name="one"), ["plain one"]),
    ],
)
def test_a_list_has_the_jobs_that_meet_all_filters(
    world: World, three: dict[str, str], filters: Filters, names: list[str]
) -> None:
    with world.database.read() as session:
        assert [job.id for job in listing.page(session, filters).items] == [three[name] for name in names]


def test_a_list_has_the_jobs_on_a_data_set_and_those_of_a_teacher(world: World, three: dict[str, str]) -> None:
    other = world.submit(dataset={"id": world.ready_dataset()})
    with world.database.read() as session:
        taught = jobs.get(session, three["Distilled 100%"])

        def listed(**filters: Any) -> set[str]:
            return {job.id for job in listing.page(session, Filters(**filters)).items}

        assert listed(dataset=taught.dataset_id) == set(three.values())
        assert listed(dataset=jobs.get(session, other).dataset_id) == {other}
        assert listed(teacher=taught.teacher_id) == {taught.id}
        assert listed(teacher="teacher_0") == set()


def test_a_list_has_the_jobs_that_learn_from_a_model(world: World) -> None:
    model = world.finish(world.running())
    student = world.submit(teacher={"model_id": model})
    with world.database.read() as session:
        assert [job.id for job in listing.page(session, Filters(teacher=model)).items] == [student]


def test_checks_are_in_no_list(world: World) -> None:
    world.dataset()
    with world.database.read() as session:
        assert listing.page(session, Filters(owner="key_test")).items == []


def test_pages_under_a_filter_have_no_gaps_and_no_doubles(world: World) -> None:
    dataset = {"id": world.ready_dataset()}
    labelled = [world.submit(dataset=dataset, labels={"n": str(number % 2)}) for number in range(9)][::2]
    seen, cursor = [], None
    while True:
        with world.database.read() as session:
            page = listing.page(session, Filters(labels=(("n", "0"),)), limit=2, cursor=cursor)
        seen += [job.id for job in page.items]
        world.submit(dataset=dataset, labels={"n": "0"})  # newer ones disturb no page
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == labelled[::-1]


@pytest.mark.parametrize("label", ["team", ":vision", ""])
def test_a_label_without_key_or_colon_is_refused(label: str) -> None:
    with pytest.raises(LabelMalformed):
        listing.label_of(label)


def test_a_value_may_have_colons() -> None:
    assert listing.label_of("url:http://x") == ("url", "http://x")


def test_the_databases_have_an_index_for_labels_and_states(world: World) -> None:
    names = {"sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'", "postgresql": "SELECT indexname FROM pg_indexes"}
    with world.database.read() as session:
        found = set(session.execute(text(names[session.get_bind().dialect.name])).scalars())
    assert {"ix_job_labels_found", "ix_jobs_status_id", "ix_jobs_expiry", "ix_jobs_created_at"} <= found


def test_sqlite_searches_labels_and_states_by_their_indexes(world: World) -> None:
    with world.database.read() as session:
        if session.get_bind().dialect.name != "sqlite":
            pytest.skip("PostgreSQL scans tables as small as these")
        for filters, index in ((Filters(labels=(("a", "b"),)), "JobLabel"), (Filters(status=(JobStatus.QUEUED,)), "status")):
            query = listing._chosen(filters).order_by(jobs.Job.id.desc()).limit(10)
            sql = str(query.compile(session.get_bind(), compile_kwargs={"literal_binds": True}))
            plan = " ".join(str(row) for row in session.execute(text(f"EXPLAIN QUERY PLAN {sql}")))
            assert "SEARCH" in plan, (index, plan)


def test_a_job_of_an_hour_ago_is_found_by_its_time(world: World, three: dict[str, str]) -> None:
    def an_hour_ago(session: Any) -> None:
        job = session.get_one(jobs.Job, three["other"])
        job.created_at -= timedelta(hours=1)

    world.do(an_hour_ago)
    border = world.job(three["plain one"]).created_at - timedelta(minutes=30)
    with world.database.read() as session:
        assert [job.id for job in listing.page(session, Filters(created_before=border)).items] == [three["other"]]
