"""A model's lineage as a graph of models, jobs, teachers and datasets."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.access.permissions import Principal
from registry.db.input_tables import Dataset, Teacher
from registry.db.job_tables import Job
from registry.db.model_tables import Model
from registry.inputs.input_roles import DATASET_ROLE, TEACHER_ROLE, transfer_datasets

_RUN_FIELDS = (
    "run",
    "seed",
    "training_images",
    "steps",
    "precision",
    "dlkd",
    "torch",
    "device",
    "teacher_sha256",
)


class NodeKind(StrEnum):
    MODEL = "model"
    JOB = "job"
    DATASET = "dataset"
    TEACHER = "teacher"
    PRETRAINED = "pretrained"  # pretrained weights from timm
    IMPORT = "import"  # the bundle that a model was imported from


class Relation(StrEnum):
    TAUGHT = "taught"  # teacher to job
    TRAINED = "trained"  # dataset to job: images used for training
    MEASURED = "measured"  # dataset to job: images used for evaluation only
    MADE = "made"  # job to model
    IMPORTED = "imported"  # import to model


@dataclass(frozen=True)
class LineageNode:
    """A node of the lineage graph.

    If the model or input that the node represents has been deleted, its facts come from the records
    of the jobs that used it.
    """

    id: str
    kind: NodeKind
    name: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    deleted: bool = False


@dataclass(frozen=True)
class LineageEdge:
    """A directed edge. `source` and `target` are the ids of its two nodes."""

    source: str
    target: str
    relation: Relation


@dataclass(frozen=True)
class LineageGraph:
    """All ancestors of a model, and the students for which the model was the teacher."""

    nodes: list[LineageNode]
    edges: list[LineageEdge]


def build_graph(session: Session, model: Model, principal: Principal) -> LineageGraph:
    """Return the part of a model's lineage that the principal may see."""
    nodes: dict[str, LineageNode] = {}
    edges: list[LineageEdge] = []
    ancestor: Model | None = model
    while ancestor is not None and ancestor.id not in nodes:
        if ancestor.imported is not None:
            edges.append(_add_import(nodes, ancestor, ancestor.imported))
            break
        job = session.get_one(Job, ancestor.job_id)
        edges += _add_model_and_job(nodes, ancestor, job)
        edges += _add_inputs(session, nodes, job)
        ancestor = session.get(Model, job.teacher_model_id) if job.teacher_model_id else None
        if ancestor is not None and not _is_visible(ancestor.owner, principal):
            ancestor = None
    for student, job in _list_students(session, model.id):
        if _is_visible(student.owner, principal):
            edges += _add_model_and_job(nodes, student, job)
            edges.append(LineageEdge(model.id, job.id, Relation.TAUGHT))
    return LineageGraph(list(nodes.values()), list(dict.fromkeys(edges)))


def _is_visible(owner: str, principal: Principal) -> bool:
    return principal.visible_owner is None or owner == principal.visible_owner


def _list_students(session: Session, model_id: str) -> list[tuple[Model, Job]]:
    query = (
        select(Model, Job)
        .join(Job, Job.id == Model.job_id)
        .where(Job.teacher_model_id == model_id)
        .order_by(Model.id)
    )
    return [(student, job) for student, job in session.execute(query).all()]


def _add_model_and_job(nodes: dict[str, LineageNode], model: Model, job: Job) -> list[LineageEdge]:
    nodes[model.id] = _model_node(model)
    facts = {"method": job.method, "attempt": job.attempt, **_run_facts(model)}
    nodes[job.id] = LineageNode(job.id, NodeKind.JOB, job.name, facts)
    return [LineageEdge(job.id, model.id, Relation.MADE)]


def _add_import(
    nodes: dict[str, LineageNode], model: Model, imported: dict[str, Any]
) -> LineageEdge:
    """Add an imported model. All that is known about its origin is what the bundle states."""
    import_id = f"import:{imported['sha256']}"
    facts = {**imported, **_run_facts(model)}
    nodes[model.id] = _model_node(model)
    nodes[import_id] = LineageNode(
        import_id, NodeKind.IMPORT, str(imported.get("name") or ""), facts
    )
    return LineageEdge(import_id, model.id, Relation.IMPORTED)


def _model_node(model: Model) -> LineageNode:
    facts = {
        "version": model.version,
        "architecture": model.architecture,
        "parameters": model.parameters,
    }
    return LineageNode(model.id, NodeKind.MODEL, model.name, facts)


def _run_facts(model: Model) -> dict[str, Any]:
    lineage = model.report.get("lineage") or {}
    return {name: lineage.get(name) for name in _RUN_FIELDS}


def _add_inputs(session: Session, nodes: dict[str, LineageNode], job: Job) -> list[LineageEdge]:
    """Add the job's datasets and teacher, with the digests of the files that the job used."""
    inputs = job.inputs or {}
    edges = []
    if job.dataset_id:
        nodes[job.dataset_id] = _dataset_node(session, job.dataset_id, inputs.get(DATASET_ROLE))
        edges.append(LineageEdge(job.dataset_id, job.id, Relation.TRAINED))
    for role, dataset_id in transfer_datasets(job.spec).items():
        nodes.setdefault(dataset_id, _dataset_node(session, dataset_id, inputs.get(role)))
        edges.append(LineageEdge(dataset_id, job.id, Relation.MEASURED))
    teacher = _teacher_node(session, job, inputs.get(TEACHER_ROLE) or {})
    if teacher is not None:
        nodes.setdefault(teacher.id, teacher)
        if teacher.kind is NodeKind.MODEL and session.get(Model, teacher.id) is not None:
            nodes.pop(teacher.id)  # the next iteration of build_graph adds the full node
        edges.append(LineageEdge(teacher.id, job.id, Relation.TAUGHT))
    return edges


def _dataset_node(
    session: Session, dataset_id: str, recorded_facts: dict[str, Any] | None
) -> LineageNode:
    recorded = recorded_facts or {}
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        name = str(recorded.get("name") or "")
        facts = {"used_sha256": recorded.get("digest"), "sha256": recorded.get("sha256")}
        return LineageNode(dataset_id, NodeKind.DATASET, name, facts, deleted=True)
    facts = {
        "used_sha256": recorded.get("digest"),
        "sha256": dataset.sha256,
        "packed_sha256": dataset.packed_sha256,
    }
    return LineageNode(dataset_id, NodeKind.DATASET, dataset.name, facts)


def _teacher_node(session: Session, job: Job, recorded: dict[str, Any]) -> LineageNode | None:
    facts = {"used_sha256": recorded.get("digest"), "architecture": recorded.get("architecture")}
    if job.teacher_model_id:
        name = str(recorded.get("model") or "")
        deleted = session.get(Model, job.teacher_model_id) is None
        return LineageNode(job.teacher_model_id, NodeKind.MODEL, name, facts, deleted=deleted)
    if job.teacher_id:
        teacher = session.get(Teacher, job.teacher_id)
        name = teacher.name if teacher else str(recorded.get("name") or "")
        return LineageNode(job.teacher_id, NodeKind.TEACHER, name, facts, deleted=teacher is None)
    if recorded.get("pretrained"):
        pretrained = recorded["pretrained"]
        return LineageNode(f"pretrained:{pretrained}", NodeKind.PRETRAINED, pretrained, facts)
    return None
