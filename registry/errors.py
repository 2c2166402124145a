"""What can be wrong with a wish to remember something, each with a stable code. Only the doors know what HTTP makes of it.

RegistryError
├── NotFound                    there is no row of that id
├── Unauthenticated             the key
│   └── KeyExpired, KeyRevoked, TokenInvalid
├── Forbidden                   not from there, or not with this key
│   └── RoleTooLow, ScopeMissing, QuotaExceeded
├── RateExceeded
├── Conflict                    the row is in no state for it
│   ├── MoveRefused
│   ├── JobEnded, JobNotEnded, JobNotWaiting
│   ├── JobHasModel, ModelInUse
│   └── KeyEnded, LastAdmin
├── Unfit                       the request does not fit what is there
│   ├── TeacherUnknown, DatasetUnknown, ModelUnknown
│   ├── AliasElsewhere
│   ├── TeacherInvalid, DatasetInvalid
│   ├── DeadlinePassed, AddressRefused
│   ├── ArchitectureDiffers, ClassesDoNotFit, ImageTooSmall, ImageSizeUnfit, LabelsMissing, LogitsNeeded
│   ├── ComparisonSize, CursorInvalid, LabelMalformed, LabelsTooMany
│   └── IdempotencyKeyReused
├── UploadTooLarge
├── StoreError                  the files
│   ├── FileMissing
│   └── FileCorrupt
├── DatabaseBehind              the migrations
└── Fenced                      this attempt is no longer the job's: stop, write nothing
"""

from typing import Any, ClassVar

from dlkd_core.errors import LogitsNeeded as CoreLogitsNeeded


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


class KeyRevoked(Unauthenticated):
    code = "key_revoked"
    default_hint = "Ask the operator for a new key."


class SessionEnded(Unauthenticated):
    code = "session_ended"
    default_hint = "Sign in again."


class TokenInvalid(Unauthenticated):
    code = "token_invalid"
    default_hint = "Get a new token of the issuer that this service trusts, for its audience."


class Forbidden(RegistryError):
    code = "forbidden"


class RoleTooLow(Forbidden):
    code = "role_too_low"
    default_hint = "GET /v1/me tells your role; an admin can give you another key."


class CsrfInvalid(Forbidden):
    code = "csrf_invalid"
    default_hint = "Send the header X-CSRF-Token with the csrf_token of GET /v1/session; reload the page if it is an old one."


class ScopeMissing(Forbidden):
    code = "scope_missing"
    default_hint = "GET /v1/me tells your scopes; an admin can give you another key."


class QuotaExceeded(Forbidden):
    code = "quota_exceeded"
    default_hint = "GET /v1/usage tells limits and use; an admin can raise the limit."


class RateExceeded(RegistryError):
    code = "rate_exceeded"
    default_hint = "Wait for the seconds in Retry-After; the RateLimit headers tell how much is left."


class SignatureInvalid(Forbidden):
    code = "signature_invalid"
    default_hint = "Use the address as it was given out, unchanged."


class SignatureExpired(Forbidden):
    code = "signature_expired"
    default_hint = "Ask for a new address with POST /v1/models/{id}/files/{name}/url."


class Conflict(RegistryError):
    code = "conflict"


class MoveRefused(Conflict):
    code = "move_refused"


class JobEnded(Conflict):
    code = "job_ended"


class JobNotEnded(Conflict):
    code = "job_not_ended"
    default_hint = "Cancel it first, or wait until it has ended."


class JobNotWaiting(Conflict):
    code = "job_not_waiting"
    default_hint = "Set the priority while the job waits: it says which begins first."


class JobHasModel(Conflict):
    code = "job_has_model"
    default_hint = "Say with_model=true to delete the model and its files, too."


class ModelInUse(Conflict):
    code = "model_in_use"
    default_hint = "Wait until the jobs that learn from it have ended, or cancel them."


class KeyEnded(Conflict):
    code = "key_ended"
    default_hint = "Make a new key."


class LastAdmin(Conflict):
    code = "last_admin"
    default_hint = "Make another admin's key first."


class ModelAliased(Conflict):
    code = "model_aliased"
    default_hint = "Point the alias at another version or delete it; DELETE /v1/models/{id}?force=true deletes it with the model."


class ModelTaught(Conflict):
    code = "model_taught"
    default_hint = "DELETE /v1/models/{id}?force=true deletes it all the same: the lineage of its students then ends at its id."


class Unfit(RegistryError):
    code = "unfit"


class AddressRefused(Unfit):
    code = "address_refused"
    default_hint = "Name an https:// address of the internet; operators open more with DLKD_WEBHOOKS_HTTP and _PRIVATE."


class TeacherUnknown(Unfit):
    code = "teacher_unknown"
    default_hint = "Upload the checkpoint with POST /v1/teachers and name the id that comes back."


class DatasetUnknown(Unfit):
    code = "dataset_unknown"
    default_hint = "Upload the images with POST /v1/datasets and name the id that comes back."


class ModelUnknown(Unfit):
    code = "model_unknown"
    default_hint = "GET /v1/models lists the models."


class AliasElsewhere(Unfit):
    code = "alias_elsewhere"
    default_hint = "An alias points at a version of its own name: GET /v1/models?name=NAME lists them."


class TeacherInvalid(Unfit):
    code = "teacher_invalid"
    default_hint = "Upload a corrected checkpoint and name its id."


class DatasetInvalid(Unfit):
    code = "dataset_invalid"
    default_hint = "Upload a corrected data set and name its id."


class DeadlinePassed(Unfit):
    code = "deadline_passed"
    default_hint = "Give a deadline that lies ahead, or none."


class ArchitectureDiffers(Unfit):
    code = "architecture_differs"
    default_hint = "Leave teacher.architecture out, or name the one that was found."


class ClassesDoNotFit(Unfit):
    code = "classes_do_not_fit"
    default_hint = "Give class_map: for each class of the data set, in order, the teacher's class index."


class ImageTooSmall(Unfit):
    code = "image_too_small"
    default_hint = "Name an architecture for smaller images (GET /v1/catalog shows min_size), or send larger images."


class ImageSizeUnfit(Unfit):
    code = "image_size_unfit"
    default_hint = "Set dataset.image_size to a size that it takes (GET /v1/catalog shows min_size and max_size)."


class LogitsNeeded(Unfit):
    code = "logits_needed"
    default_hint = CoreLogitsNeeded.default_hint


class LabelsMissing(Unfit):
    code = "labels_missing"
    default_hint = (
        "Without labels: kd, dlkd and the others with their labels at weight 0; seed and compress; combine without the terms "
        "labels, supcon, dkd and crd."
    )


class ComparisonSize(Unfit):
    code = "comparison_size"
    default_hint = "Name 2 to 20 models by commas, as in ids=model_a,model_b."


class CursorInvalid(Unfit):
    code = "cursor_invalid"
    default_hint = "Use the next_cursor of the page before, unchanged, or leave it out to begin."


class LabelMalformed(Unfit):
    code = "label_malformed"
    default_hint = "Write key:value, as in label=team:vision."


class LabelsTooMany(Unfit):
    code = "labels_too_many"
    default_hint = "A job has at most 32 labels: remove some by null."


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
