"""What can be wrong with a wish to remember something, each with a stable code. Only the doors know what HTTP makes of it.

RegistryError
├── NotFound                    there is no row of that id
├── Unauthenticated             the key
│   └── KeyExpired
├── Conflict                    the row is in no state for it
│   ├── MoveRefused
│   └── JobEnded
├── Unfit                       the request does not fit what is there
│   ├── TeacherUnknown, DatasetUnknown, ModelUnknown
│   ├── TeacherInvalid, DatasetInvalid
│   ├── ArchitectureDiffers, ClassesDoNotFit, ImageTooSmall
│   ├── CursorInvalid
│   └── IdempotencyKeyReused
├── UploadTooLarge
├── StoreError                  the files
│   ├── FileMissing
│   └── FileCorrupt
├── DatabaseBehind              the migrations
└── Fenced                      this attempt is no longer the job's: stop, write nothing
"""

from typing import Any, ClassVar


class RegistryError(Exception):
    """A refusal with a code that programs can rely on, a message with the facts and a hint that says what to do."""

    code: ClassVar[str] = "registry_error"
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None, pointer: str | None = None) -> None:
        """`pointer` is the JSON pointer of the field at fault in the request, where there is one."""
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.pointer = pointer

    def facts(self) -> dict[str, Any]:
        """The refusal as plain data, in the shape of `dlkd_core.errors.DistillationError.facts`."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "retryable": False}


class NotFound(RegistryError):
    code = "not_found"


class Unauthenticated(RegistryError):
    code = "key_invalid"
    default_hint = "Send the header `Authorization: Bearer <key>` with a key of this service."


class KeyExpired(Unauthenticated):
    code = "key_expired"
    default_hint = "Ask the operator for a new key."


class Conflict(RegistryError):
    code = "conflict"


class MoveRefused(Conflict):
    code = "move_refused"


class JobEnded(Conflict):
    code = "job_ended"


class Unfit(RegistryError):
    code = "unfit"


class TeacherUnknown(Unfit):
    code = "teacher_unknown"
    default_hint = "Upload the checkpoint with POST /v1/teachers and name the id that comes back."


class DatasetUnknown(Unfit):
    code = "dataset_unknown"
    default_hint = "Upload the images with POST /v1/datasets and name the id that comes back."


class ModelUnknown(Unfit):
    code = "model_unknown"
    default_hint = "GET /v1/models lists the models."


class TeacherInvalid(Unfit):
    code = "teacher_invalid"
    default_hint = "Upload a corrected checkpoint and name its id."


class DatasetInvalid(Unfit):
    code = "dataset_invalid"
    default_hint = "Upload a corrected data set and name its id."


class ArchitectureDiffers(Unfit):
    code = "architecture_differs"
    default_hint = "Leave teacher.architecture out, or name the one that was found."


class ClassesDoNotFit(Unfit):
    code = "classes_do_not_fit"
    default_hint = "Give class_map: for each class of the data set, in order, the teacher's class index."


class ImageTooSmall(Unfit):
    code = "image_too_small"
    default_hint = "Name an architecture for smaller images (GET /v1/catalog shows min_size), or send larger images."


class CursorInvalid(Unfit):
    code = "cursor_invalid"
    default_hint = "Use the next_cursor of the page before, unchanged, or leave it out to begin."


class IdempotencyKeyReused(Unfit):
    code = "idempotency_key_reused"
    default_hint = "Use a new Idempotency-Key for a new request."


class UploadTooLarge(RegistryError):
    code = "upload_too_large"
    default_hint = "Shrink the file, or ask the operator to raise DLKD_MAX_UPLOAD_BYTES."


class StoreError(RegistryError):
    code = "store_failed"


class FileMissing(StoreError):
    code = "file_missing"


class FileCorrupt(StoreError):
    code = "file_corrupt"


class DatabaseBehind(RegistryError):
    code = "database_behind"
    default_hint = "Run the migrations: `dlkd up` does so, or `alembic upgrade head`."


class Fenced(RegistryError):
    code = "fenced"
