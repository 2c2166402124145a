"""Model lineage through several teachers, and what other owners can see of it."""

from registry.access.permissions import Principal, Role
from registry.db.model_tables import Model
from registry.models import lineage, model_deletion
from registry.models.lineage import LineageEdge, LineageGraph, Relation
from tests.registry.conftest import RegistryHarness


def build_lineage(
    harness: RegistryHarness, model_id: str, principal: Principal | None = None
) -> LineageGraph:
    with harness.database.read() as session:
        return lineage.build_graph(
            session, session.get_one(Model, model_id), principal or harness.principal
        )


def test_the_graph_contains_all_ancestors_and_direct_students(harness: RegistryHarness) -> None:
    dataset, upload = harness.add_ready_dataset(), harness.add_ready_teacher()
    common = {"dataset": {"id": dataset}}
    claims = [harness.start_job(teacher={"id": upload}, **common)]
    models = [harness.finish(claims[0])]
    for _ in range(2):
        claims.append(harness.start_job(teacher={"model_id": models[-1]}, **common))
        models.append(harness.finish(claims[-1]))
    graph = build_lineage(harness, models[1])
    jobs = [claim.job_id for claim in claims]
    kinds = {
        upload: "teacher",
        dataset: "dataset",
        **dict.fromkeys(models, "model"),
        **dict.fromkeys(jobs, "job"),
    }
    assert {node.id: node.kind for node in graph.nodes} == kinds
    taught = {
        LineageEdge(upload, jobs[0], Relation.TAUGHT),
        LineageEdge(models[0], jobs[1], Relation.TAUGHT),
        LineageEdge(models[1], jobs[2], Relation.TAUGHT),
    }
    made = {LineageEdge(job, model, Relation.MADE) for job, model in zip(jobs, models, strict=True)}
    # The student's other inputs appear only in its own lineage.
    trained = {LineageEdge(dataset, job, Relation.TRAINED) for job in jobs[:2]}
    assert set(graph.edges) == taught | made | trained
    facts = {node.id: node.facts for node in graph.nodes}
    assert facts[dataset]["used_sha256"] == facts[dataset]["packed_sha256"]
    assert (facts[jobs[1]]["attempt"], facts[jobs[1]]["method"]) == (1, "dlkd_auto")


def test_a_data_set_that_was_only_evaluated_on_has_its_own_relation(
    harness: RegistryHarness,
) -> None:
    own, other = harness.add_ready_dataset(), harness.add_ready_dataset()
    claim = harness.start_job(
        dataset={"id": own}, evaluation=[{"name": "transfer", "dataset": {"id": other}}]
    )
    graph = build_lineage(harness, harness.finish(claim))
    assert {
        LineageEdge(own, claim.job_id, Relation.TRAINED),
        LineageEdge(other, claim.job_id, Relation.MEASURED),
    } <= set(graph.edges)
    facts = {node.id: node.facts for node in graph.nodes}
    assert facts[other]["used_sha256"] == claim.inputs["evaluation/0"]["digest"]


def test_a_deleted_teacher_keeps_its_id_name_and_digest(harness: RegistryHarness) -> None:
    teacher = harness.finish(harness.start_job(model_name="big"))
    student = harness.finish(harness.start_job(teacher={"model_id": teacher}))
    harness.run(
        lambda session: model_deletion.delete_model(
            session, session.get_one(Model, teacher), actor="key_test", force=True
        )
    )
    (node,) = [node for node in build_lineage(harness, student).nodes if node.id == teacher]
    assert (node.kind, node.name, len(node.facts["used_sha256"])) == ("model", "big@1", 64)


def test_students_of_other_owners_are_hidden(harness: RegistryHarness) -> None:
    teacher = harness.finish(harness.start_job())
    student = harness.finish(harness.start_job(teacher={"model_id": teacher}))
    viewer = Principal("key_other", "other", role=Role.VIEWER)
    assert student in {node.id for node in build_lineage(harness, teacher).nodes}
    assert student not in {node.id for node in build_lineage(harness, teacher, viewer).nodes}
