"""Where models come from, through several teachers, and what is seen of others'."""

from typing import Any

from registry import lineage, removals
from registry.access import Principal, Role
from registry.lineage import Edge, Graph
from registry.model_tables import Model

World = Any  # tests/registry/conftest.py


def graph(world: World, model_id: str, principal: Principal | None = None) -> Graph:
    with world.database.read() as session:
        return lineage.graph(session, session.get_one(Model, model_id), principal or world.principal)


def test_the_graph_leads_to_the_first_teacher_and_to_the_students(world: World) -> None:
    dataset, upload = world.ready_dataset(), world.ready_teacher()
    given = {"dataset": {"id": dataset}}
    claims = [world.running(teacher={"id": upload}, **given)]
    models = [world.finish(claims[0])]
    for _ in range(2):
        claims.append(world.running(teacher={"model_id": models[-1]}, **given))
        models.append(world.finish(claims[-1]))
    found = graph(world, models[1])
    jobs = [claim.job_id for claim in claims]
    kinds = {upload: "teacher", dataset: "dataset", **dict.fromkeys(models, "model"), **dict.fromkeys(jobs, "job")}
    assert {node.id: node.kind for node in found.nodes} == kinds
    taught = {Edge(upload, jobs[0], "taught"), Edge(models[0], jobs[1], "taught"), Edge(models[1], jobs[2], "taught")}
    made = {Edge(job, model, "made") for job, model in zip(jobs, models, strict=True)}
    trained = {Edge(dataset, job, "trained") for job in jobs[:2]}  # the student's other sources are in its own lineage
    assert set(found.edges) == taught | made | trained
    facts = {node.id: node.facts for node in found.nodes}
    assert facts[dataset]["used_sha256"] == facts[dataset]["packed_sha256"]
    assert (facts[jobs[1]]["attempt"], facts[jobs[1]]["method"]) == (1, "dlkd")


def test_a_data_set_that_the_student_was_only_measured_on_is_told_apart(world: World) -> None:
    own, other = world.ready_dataset(), world.ready_dataset()
    claim = world.running(dataset={"id": own}, evaluation=[{"name": "transfer", "dataset": {"id": other}}])
    found = graph(world, world.finish(claim))
    assert {Edge(own, claim.job_id, "trained"), Edge(other, claim.job_id, "measured")} <= set(found.edges)
    facts = {node.id: node.facts for node in found.nodes}
    assert facts[other]["used_sha256"] == claim.inputs["evaluation/0"]["digest"]


def test_a_teacher_that_was_deleted_is_known_by_its_id_and_digest(world: World) -> None:
    teacher = world.finish(world.running(model_name="big"))
    student = world.finish(world.running(teacher={"model_id": teacher}))
    world.do(lambda s: removals.remove(s, s.get_one(Model, teacher), actor="key_test", force=True))
    (node,) = [node for node in graph(world, student).nodes if node.id == teacher]
    assert (node.kind, node.name, len(node.facts["used_sha256"])) == ("model", "big@1", 64)


def test_students_of_others_are_not_told(world: World) -> None:
    teacher = world.finish(world.running())
    student = world.finish(world.running(teacher={"model_id": teacher}))
    viewer = Principal("key_other", "other", role=Role.VIEWER)
    assert student in {node.id for node in graph(world, teacher).nodes}
    assert student not in {node.id for node in graph(world, teacher, viewer).nodes}
