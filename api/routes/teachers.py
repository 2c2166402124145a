"""Teachers: uploaded checkpoints, which a worker checks after the upload."""

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from api.deps import Caller, IdempotencyKey, PageCursor, PageLimit, ServicesDep
from api.responses import with_location
from api.schemas.base import Page
from api.schemas.input_schemas import TeacherForm, TeacherOut
from api.transactions import delete_with_files
from api.uploads.form_parser import build_form_openapi, receive_form
from api.uploads.upload_intake import register_upload
from dlkd_core.teachers.reading.file_format import detect_format
from registry.db.input_tables import Teacher
from registry.inputs import input_deletion, teachers

PATH = "/v1/teachers"
router = APIRouter(prefix=PATH, tags=["teachers"])


@router.post(
    "",
    operation_id="create_teacher",
    status_code=201,
    response_model=TeacherOut,
    openapi_extra=build_form_openapi(
        TeacherForm, "A plain state dict (.th, .pth, .pt), a safetensors file or an ONNX model."
    ),
)
async def create_teacher(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: Caller,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Create a teacher from a checkpoint in this request or from a finished upload.

    The status of the teacher is `validating` until a worker has checked it.
    """

    def work() -> dict[str, Any]:
        upload = receive_form(request, services, caller, detect_format, TeacherForm)
        declared = upload.fields.model_dump(mode="json", exclude={"name"})

        def create(session: Session) -> Teacher:
            return teachers.create(
                session,
                caller,
                upload.stored,
                filename=upload.filename,
                name=upload.fields.name,
                declared={**declared, "format": upload.format},
            )

        return register_upload(services, caller, idempotency_key, upload, create, TeacherOut)

    teacher = await to_thread.run_sync(work, limiter=services.upload_limiter)
    return with_location(response, PATH, teacher)


@router.get("", operation_id="list_teachers")
def list_teachers(
    services: ServicesDep, caller: Caller, limit: PageLimit = 50, cursor: PageCursor = None
) -> Page[TeacherOut]:
    """List teachers, newest first."""
    with services.database.read() as session:
        return Page[TeacherOut].model_validate(
            teachers.list_page(session, owner=caller.visible_owner, limit=limit, cursor=cursor)
        )


@router.get("/{teacher_id}", operation_id="get_teacher")
def get_teacher(teacher_id: str, services: ServicesDep) -> TeacherOut:
    """Get a teacher."""
    with services.database.read() as session:
        return TeacherOut.model_validate(teachers.get(session, teacher_id))


@router.delete("/{teacher_id}", operation_id="delete_teacher", status_code=204)
def delete_teacher(
    teacher_id: str,
    services: ServicesDep,
    caller: Caller,
    *,
    force: Annotated[
        bool, Query(description="Delete the teacher even if it is part of a model's lineage.")
    ] = False,
) -> None:
    """Delete a teacher and its file. This fails while an unfinished job uses the teacher."""
    delete_with_files(
        services,
        lambda session: input_deletion.delete_input(
            session, Teacher, teacher_id, actor=caller.id, force=force
        ),
    )
