"""Submitting, promoting, looking at and cancelling jobs."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from registry import claims, jobs, lifecycle, listing
from registry.claims import News, Point
from registry.errors import CursorInvalid, JobEnded, NotFound, Unfit
from registry.lifecycle import JobStatus
from registry.listing import Filters

World = Any  # tests/registry/conftest.py


def test_a_job_with_ready_inputs_is_queued_at_once(world: World) -> None:
    job = world.job(world.submit(teacher={"id": world.ready_teacher()}))
    assert job.status == "queued"
    assert job.inputs["teacher"]["architecture"] == "resnet56"
    assert job.inputs["teacher"]["options"] == {"shortcut": "pad"}
    assert job.inputs["dataset"]["filename"] == "packed.safetensors"


def test_a_job_waits_for_the_checks_of_its_inputs_and_is_promoted_by_the_last(world: World) -> None:
    teacher, dataset = world.teacher(), world.dataset()
    job = world.submit(teacher={"id": teacher}, dataset={"id": dataset})
    assert world.job(job).status == "validating"
    assert world.pass_check() == []
    assert world.job(job).status == "validating"
    assert world.pass_check() == [("train", job)]
    assert world.job(job).status == "queued"


def test_a_waiting_job_fails_with_what_is_wrong_with_its_data_set(world: World) -> None:
    dataset = world.dataset()
    job = world.job(world.submit(dataset={"id": dataset}))
    world.fail_check("It is no archive.")
    job = world.job(job.id)
    assert (job.status, job.error["code"], job.error["hint"]) == ("failed", "dataset_invalid", "Send a zip.")
    assert "It is no archive." in job.error["message"]
    assert job.finished_at is not None


def test_a_waiting_job_fails_where_the_checked_inputs_do_not_fit(world: World) -> None:
    teacher, dataset = world.teacher(), world.dataset()
    job = world.submit(teacher={"id": teacher}, dataset={"id": dataset})
    world.pass_check(num_classes=10)
    world.pass_check()
    assert world.job(job).error["code"] == "classes_do_not_fit"


@pytest.mark.parametrize(
    ("spec", "code", "pointer"),
    [
        ({"dataset": {"id": "dataset_x"}}, "dataset_unknown", "/dataset/id"),
        ({"teacher": {"id": "teacher_x"}}, "teacher_unknown", "/teacher/id"),
        ({"teacher": {"model_id": "model_x"}}, "model_unknown", "/teacher/model_id"),
        ({"student": {"architecture": "alexnet"}}, "image_too_small", "/student/architecture"),
    ],
)
def test_what_cannot_run_is_refused_at_once_with_the_field(world: World, spec: dict[str, Any], code: str, pointer: str) -> None:
    dataset = world.ready_dataset(image={"channels": 3, "height": 8, "width": 8})
    with pytest.raises(Unfit) as refused:
        world.submit(**{"dataset": {"id": dataset}, **spec})
    assert (refused.value.code, refused.value.pointer) == (code, pointer)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("side", "architecture", "code"),
    [(None, "vit_b_16", "image_too_small"), (96, "alexnet", None), (None, "alexnet", "image_too_small")],
)
def test_the_size_that_a_job_asks_for_is_the_one_that_counts(
    world: World, side: int | None, architecture: str, code: str | None
) -> None:
    spec = {"dataset": {"id": world.ready_dataset(), "image_size": side}, "student": {"architecture": architecture}}
    if code is None:
        assert world.job(world.submit(**spec)).status == "queued"
        return
    with pytest.raises(Unfit) as refused:
        world.submit(**spec)
    assert (refused.value.code, refused.value.pointer) == (code, "/student/architecture")


def test_images_that_are_too_large_for_a_network_are_refused(world: World) -> None:
    dataset = world.ready_dataset(image={"channels": 3, "height": 256, "width": 256})
    with pytest.raises(Unfit) as refused:
        world.submit(dataset={"id": dataset}, student={"architecture": "maxvit_t"})
    assert (refused.value.code, refused.value.pointer) == ("image_size_unfit", "/student/architecture")
    assert "dataset.image_size" in refused.value.hint


@pytest.mark.parametrize("options", [{"image_size": 16}, {"resize": "pad"}])
def test_a_job_that_resizes_gets_the_archive_as_it_came(world: World, options: dict[str, Any]) -> None:
    dataset = world.ready_dataset()
    plain, other = (world.job(world.submit(dataset={"id": dataset, **extra})).inputs["dataset"] for extra in ({}, options))
    assert plain["filename"] == "packed.safetensors"
    assert other["filename"] != "packed.safetensors"
    assert plain["digest"] != other["digest"]


def test_a_data_set_without_labels_takes_any_teacher_and_no_method_that_learns_from_labels(world: World) -> None:
    dataset, teacher = world.ready_dataset(classes=[]), world.ready_teacher(num_classes=7)
    spec = {"dataset": {"id": dataset}, "teacher": {"id": teacher}}
    assert world.job(world.submit(**spec, method={"name": "kd", "labels": 0})).status == "queued"
    with pytest.raises(Unfit) as refused:
        world.submit(**spec, method={"name": "kd"})
    assert (refused.value.code, refused.value.pointer) == ("labels_missing", "/method")
    assert "seed and compress" in refused.value.hint


def test_training_images_without_labels_are_found_out_before_the_job_whatever_val_has(world: World) -> None:
    dataset = world.ready_dataset(class_counts={"train": [0, 0], "val": [2, 2]})
    spec = {"dataset": {"id": dataset}, "student": {"architecture": "resnet8"}}
    with pytest.raises(Unfit) as refused:
        world.submit(**spec)
    assert (refused.value.code, refused.value.pointer) == ("labels_missing", "/method")
    teacher = {"id": world.ready_teacher()}
    with pytest.raises(Unfit, match="linear_probe needs"):
        world.submit(**spec, teacher=teacher, method={"name": "seed"}, evaluation=[{"name": "linear_probe"}])
    assert world.job(world.submit(**spec, teacher=teacher, method={"name": "seed"})).status == "queued"


@pytest.mark.parametrize("class_map", [None, [0, 1, 2], [0, 10]])
def test_classes_that_do_not_fit_are_refused(world: World, class_map: list[int] | None) -> None:
    teacher = world.ready_teacher(num_classes=10)
    with pytest.raises(Unfit) as refused:
        world.submit(teacher={"id": teacher, "class_map": class_map})
    assert (refused.value.code, refused.value.pointer) == ("classes_do_not_fit", "/teacher/class_map")


def test_a_class_map_makes_a_teacher_of_other_classes_fit(world: World) -> None:
    teacher = world.ready_teacher(num_classes=10)
    assert world.job(world.submit(teacher={"id": teacher, "class_map": [3, 9]})).status == "queued"


def test_another_architecture_than_the_one_found_is_refused(world: World) -> None:
    teacher = world.ready_teacher()
    with pytest.raises(Unfit, match="is a resnet56, not a resnet20") as refused:
        world.submit(teacher={"id": teacher, "architecture": "resnet20"})
    assert refused.value.pointer == "/teacher/architecture"


def test_an_invalid_data_set_is_refused(world: World) -> None:
    dataset = world.dataset()
    world.fail_check()
    with pytest.raises(Unfit) as refused:
        world.submit(dataset={"id": dataset})
    assert (refused.value.code, refused.value.hint) == ("dataset_invalid", "Send a zip.")


def test_a_model_of_the_registry_teaches_through_its_safetensors_file(world: World) -> None:
    claim = world.running()
    model = world.finish(claim)
    job = world.job(world.submit(teacher={"model_id": model}))
    assert job.inputs["teacher"]["architecture"] == "resnet8"
    assert job.inputs["teacher"]["num_classes"] == 2
    assert job.inputs["teacher"]["normalization"]["mean"] == [0.5] * 3


def test_a_job_that_was_missed_when_its_inputs_became_ready_is_promoted_later(world: World) -> None:
    job = world.submit()

    def forget_that_it_is_ready(session: Any) -> None:
        row = session.get_one(lifecycle.Job, job)
        row.status, row.inputs = JobStatus.VALIDATING, None

    world.do(forget_that_it_is_ready)
    assert [row.id for row in world.do(jobs.promote)] == [job]
    assert world.job(job).inputs is not None


def test_checks_are_not_shown_as_jobs(world: World) -> None:
    world.teacher()
    check = world.claim("checks")
    with world.database.read() as session, pytest.raises(NotFound):
        jobs.get(session, check.job_id)
    with pytest.raises(NotFound):
        world.do(jobs.cancel, check.job_id, actor="key")
    with world.database.read() as session:
        assert listing.page(session).items == []


def test_pages_go_from_the_newest_to_the_oldest_without_gaps(world: World) -> None:
    dataset = {"id": world.ready_dataset()}
    submitted = [world.submit(dataset=dataset) for _ in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        with world.database.read() as session:
            page = listing.page(session, limit=2, cursor=cursor)
        seen.extend(job.id for job in page.items)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == submitted[::-1]


def test_pages_can_show_one_state(world: World) -> None:
    dataset = {"id": world.ready_dataset()}
    waiting, cancelled = world.submit(dataset=dataset), world.submit(dataset=dataset)
    world.do(jobs.cancel, cancelled, actor="key")
    with world.database.read() as session:
        assert [job.id for job in listing.page(session, Filters(status=(JobStatus.QUEUED,))).items] == [waiting]


@pytest.mark.parametrize("cursor", ["ü", "a", "////"])
def test_a_cursor_that_is_none_is_refused(world: World, cursor: str) -> None:
    with world.database.read() as session, pytest.raises(CursorInvalid):
        listing.page(session, cursor=cursor)


def test_a_waiting_job_is_cancelled_at_once_and_twice_is_once(world: World) -> None:
    job = world.submit()
    assert world.do(jobs.cancel, job, actor="key").status == "cancelled"
    assert world.do(jobs.cancel, job, actor="key").status == "cancelled"
    assert world.claim() is None


def test_a_running_job_is_asked_to_stop(world: World) -> None:
    claim = world.running()
    assert world.do(jobs.cancel, claim.job_id, actor="key").status == "cancelling"
    assert world.do(claims.heartbeat, claim, lease=timedelta(seconds=60)).stop == "cancel"
    world.do(claims.cancelled, claim)
    assert world.job(claim.job_id).status == "cancelled"


def test_a_job_that_has_ended_cannot_be_cancelled(world: World) -> None:
    claim = world.running()
    world.finish(claim)
    with pytest.raises(JobEnded):
        world.do(jobs.cancel, claim.job_id, actor="key")


def test_events_are_numbered_and_read_by_cursor(world: World) -> None:
    claim = world.running()
    world.do(claims.record, claim, News(events=[("notice", {"message": "hello"}), ("notice", {"message": "again"})]))
    with world.database.read() as session:
        events = jobs.events(session, claim.job_id)
        assert [event.seq for event in events] == [1, 2, 3, 4, 5]
        assert [event.data.get("to") for event in events[:3]] == ["queued", "starting", "running"]
        assert [event.data["message"] for event in jobs.events(session, claim.job_id, after=3)] == ["hello", "again"]


def test_metrics_are_thinned_evenly_and_keep_their_ends(world: World) -> None:
    claim = world.running()
    points = [Point(step, 1, {"train/loss": float(step), "rate": 0.1}) for step in range(1, 101)]
    world.do(claims.record, claim, News(points=points))
    with world.database.read() as session:
        rows = jobs.metrics(session, claim.job_id, names=["train/loss"], max_points=10)
    steps = [row.step for row in rows]
    assert len(steps) <= 10
    assert (steps[0], steps[-1]) == (1, 100)
    assert {row.name for row in rows} == {"train/loss"}
    gaps = {after - before for before, after in pairwise(steps[:-1])}
    assert len(gaps) == 1


def test_a_later_attempt_overwrites_the_steps_that_it_repeats(world: World) -> None:
    first = world.running()
    world.do(claims.record, first, News(points=[Point(1, 1, {"loss": 3.0}), Point(2, 1, {"loss": 2.0})]))
    world.do(claims.give_back, first)
    second = world.claim()
    world.do(claims.record, second, News(points=[Point(2, 1, {"loss": 1.0}), Point(3, 1, {"loss": float("nan")})]))
    with world.database.read() as session:
        rows = jobs.metrics(session, first.job_id)
    assert [(row.step, row.attempt, row.value) for row in rows] == [(1, 1, 3.0), (2, 2, 1.0), (3, 2, None)]
