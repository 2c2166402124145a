"""From the rows of models to what clients see of them."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.model_schemas import BesideOut, ClassBesideOut, ComparisonOut, FileBesideOut, FileOut, ModelOut
from registry import aliases, models
from registry.comparison import Beside, Comparison
from registry.model_tables import Model, ModelFile

_MODEL_FIELDS = set(ModelOut.model_fields) - {"files", "aliases", "tags", "origin"}
_FILE_FIELDS = set(FileOut.model_fields) - {"url"}


def model_out(session: Session, model: Model) -> ModelOut:
    """A model with its files."""
    return models_out(session, [model])[0]


def models_out(session: Session, found: Sequence[Model]) -> list[ModelOut]:
    """The same for several, with as many questions to the database as for one."""
    ids = [model.id for model in found]
    pointing, tagged = aliases.of(session, ids), models.tags_of(session, ids)
    files: dict[str, list[FileOut]] = {model_id: [] for model_id in ids}
    for row in models.files(session, *ids):
        files[row.model_id].append(file_out(row))
    return [
        ModelOut(
            **{name: getattr(model, name) for name in _MODEL_FIELDS},
            origin="distilled" if model.imported is None else "imported",
            files=files[model.id],
            aliases=pointing[model.id],
            tags=tagged[model.id],
        )
        for model in found
    ]


def file_out(row: ModelFile) -> FileOut:
    """A model's file with its address."""
    facts = {name: getattr(row, name) for name in _FILE_FIELDS}
    return FileOut(**facts, url=f"/v1/models/{row.model_id}/files/{row.name}")


def comparison_out(found: Comparison) -> ComparisonOut:
    """Models side by side."""
    rows = [ClassBesideOut.model_validate(row) for row in found.classes]
    return ComparisonOut(models=[_beside(one) for one in found.models], classes=rows)


def _beside(one: Beside) -> BesideOut:
    return BesideOut(
        id=one.model.id,
        name=one.model.name,
        version=one.model.version,
        architecture=one.model.architecture,
        numbers=one.numbers,
        files=[FileBesideOut.model_validate(file) for file in one.files],
        against_first=one.against_first,
        against_teacher=one.against_teacher,
    )
