"""Checkpoints to learn from: taken in here, checked by a worker."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from api.admission import admit
from api.changes import delete
from api.deps import Caller, Cursor, Limit, Once, Parts, Services
from api.schemas import Page, TeacherForm, TeacherOut
from api.uploads import Received, form_body, in_upload_thread, receive
from dlkd_core.teachers.sniff import sniff_format
from registry import discards, teachers
from registry.keys import Principal
from registry.tables import Teacher

PATH = "/v1/teachers"
router = APIRouter(prefix=PATH, tags=["teachers"])


@router.post(
    "",
    operation_id="create_teacher",
    status_code=201,
    response_model=TeacherOut,
    openapi_extra=form_body(TeacherForm, "A plain state dict (.th, .pth, .pt), safetensors or ONNX"),
)
async def create_teacher(request: Request, response: Response, parts: Parts, caller: Caller, key: Once = None) -> Any:
    """Takes in a checkpoint, sent here or before as an upload. Its status is `validating` until a worker has looked into it."""

    def work() -> dict[str, Any]:
        upload = receive(request, parts, caller, sniff_format, TeacherForm)
        return _add(parts, caller, key, upload)

    teacher = await in_upload_thread(work, parts.uploads)
    response.headers["Location"] = f"{PATH}/{teacher['id']}"
    return teacher


@router.get("", operation_id="list_teachers")
def list_teachers(parts: Parts, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Page[TeacherOut]:
    """Teachers, newest first."""
    with parts.database.read() as session:
        return Page[TeacherOut].model_validate(teachers.page(session, owner=caller.visible, limit=limit, cursor=cursor))


@router.get("/{teacher_id}", operation_id="get_teacher")
def get_teacher(teacher_id: str, parts: Parts) -> TeacherOut:
    """One teacher."""
    with parts.database.read() as session:
        return TeacherOut.model_validate(teachers.get(session, teacher_id))


@router.delete("/{teacher_id}", operation_id="delete_teacher", status_code=204)
def delete_teacher(
    teacher_id: str,
    parts: Parts,
    caller: Caller,
    *,
    force: Annotated[bool, Query(description="Also where the lineage of a model names it")] = False,
) -> None:
    """Deletes a teacher and its file. Refused while a job that has not ended learns from it."""
    delete(parts, lambda session: discards.discard(session, Teacher, teacher_id, actor=caller.id, force=force))


def _add(parts: Services, caller: Principal, key: str | None, upload: Received[TeacherForm]) -> dict[str, Any]:
    told = upload.fields.model_dump(mode="json", exclude={"name"}) | {"format": upload.format}

    def create(session: Session) -> Teacher:
        return teachers.create(session, caller, upload.stored, filename=upload.filename, name=upload.fields.name, told=told)

    return admit(parts, caller, key, upload, create, TeacherOut)
