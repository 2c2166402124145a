"""Where a model comes from and what was made of it, as a graph: models, jobs, teachers and data sets, and what led to what."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import roles
from registry.access import Principal
from registry.model_tables import Model
from registry.tables import Dataset, Job, Teacher

_OF_RUN = ("run", "seed", "training_images", "steps", "precision", "dlkd", "torch", "device", "teacher_sha256")


@dataclass(frozen=True)
class Node:
    """A thing with an id, and what is known of it: of one that was deleted, what the jobs noted that were given it."""

    id: str
    kind: str
    name: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    deleted: bool = False


@dataclass(frozen=True)
class Edge:
    """What led to what: `taught`, `trained` (images), `measured` (images that it learnt nothing from), `made` or `imported`."""

    source: str
    target: str
    relation: str


@dataclass(frozen=True)
class Graph:
    """Ancestors without end, and the students that were taught by the model itself."""

    nodes: list[Node]
    edges: list[Edge]


def graph(session: Session, model: Model, principal: Principal) -> Graph:
    """The lineage of a model as far as the principal may see it."""
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    above: Model | None = model
    while above is not None and above.id not in nodes:
        if above.imported is not None:
            edges.append(_brought(nodes, above, above.imported))
            break
        job = session.get_one(Job, above.job_id)
        edges += _made(nodes, above, job)
        edges += _given(session, nodes, job)
        above = session.get(Model, job.teacher_model_id) if job.teacher_model_id else None
        if above is not None and not _seen(above.owner, principal):
            above = None
    for student, job in _students(session, model.id):
        if _seen(student.owner, principal):
            edges += _made(nodes, student, job)
            edges.append(Edge(model.id, job.id, "taught"))
    return Graph(list(nodes.values()), list(dict.fromkeys(edges)))


def _seen(owner: str, principal: Principal) -> bool:
    return principal.visible is None or owner == principal.visible


def _students(session: Session, model_id: str) -> list[tuple[Model, Job]]:
    query = select(Model, Job).join(Job, Job.id == Model.job_id).where(Job.teacher_model_id == model_id).order_by(Model.id)
    return [(student, job) for student, job in session.execute(query).all()]


def _made(nodes: dict[str, Node], model: Model, job: Job) -> list[Edge]:
    nodes[model.id] = _model(model)
    nodes[job.id] = Node(job.id, "job", job.name, {"method": job.method, "attempt": job.attempt, **_run(model)})
    return [Edge(job.id, model.id, "made")]


def _brought(nodes: dict[str, Node], model: Model, imported: dict[str, Any]) -> Edge:
    """What lies behind a bundle is known by what it tells of its run."""
    origin = f"import:{imported['sha256']}"
    nodes[model.id] = _model(model)
    nodes[origin] = Node(origin, "import", str(imported.get("name") or ""), {**imported, **_run(model)})
    return Edge(origin, model.id, "imported")


def _model(model: Model) -> Node:
    facts = {"version": model.version, "architecture": model.architecture, "parameters": model.parameters}
    return Node(model.id, "model", model.name, facts)


def _run(model: Model) -> dict[str, Any]:
    told = model.report.get("lineage") or {}
    return {name: told.get(name) for name in _OF_RUN}


def _given(session: Session, nodes: dict[str, Node], job: Job) -> list[Edge]:
    """Data set and teacher of the job, with the digests of the files that it really got."""
    inputs = job.inputs or {}
    edges = []
    if job.dataset_id:
        nodes[job.dataset_id] = _images(session, job.dataset_id, inputs.get("dataset"))
        edges.append(Edge(job.dataset_id, job.id, "trained"))
    for role, other in roles.other_datasets(job.spec).items():
        nodes.setdefault(other, _images(session, other, inputs.get(role)))
        edges.append(Edge(other, job.id, "measured"))
    found = inputs.get("teacher") or {}
    taught = _teacher(session, job, found)
    if taught is not None:
        nodes.setdefault(taught.id, taught)
        if taught.kind == "model" and session.get(Model, taught.id) is not None:
            nodes.pop(taught.id)  # the next round of the walk says all of it
        edges.append(Edge(taught.id, job.id, "taught"))
    return edges


def _images(session: Session, dataset_id: str, found: dict[str, Any] | None) -> Node:
    noted = found or {}
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        facts = {"used_sha256": noted.get("digest"), "sha256": noted.get("sha256")}
        return Node(dataset_id, "dataset", str(noted.get("name") or ""), facts, deleted=True)
    facts = {"used_sha256": noted.get("digest"), "sha256": dataset.sha256, "packed_sha256": dataset.packed_sha256}
    return Node(dataset_id, "dataset", dataset.name, facts)


def _teacher(session: Session, job: Job, found: dict[str, Any]) -> Node | None:
    facts = {"used_sha256": found.get("digest"), "architecture": found.get("architecture")}
    if job.teacher_model_id:
        gone = session.get(Model, job.teacher_model_id) is None
        return Node(job.teacher_model_id, "model", str(found.get("model") or ""), facts, deleted=gone)
    if job.teacher_id:
        teacher = session.get(Teacher, job.teacher_id)
        name = teacher.name if teacher else str(found.get("name") or "")
        return Node(job.teacher_id, "teacher", name, facts, deleted=teacher is None)
    if found.get("pretrained"):
        return Node(f"pretrained:{found['pretrained']}", "pretrained", found["pretrained"], facts)
    return None
