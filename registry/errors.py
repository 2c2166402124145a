"""Errors raised by the registry, each with a stable code.

Only the HTTP layer maps errors to status codes. Errors about uploads and bundles are defined in
`registry.uploads.upload_errors`.

RegistryError
├── NotFound                        no row has that id
├── Unauthenticated                 the API key, session or token is not accepted
│   └── KeyExpired, KeyRevoked, SessionEnded, TokenInvalid
├── Forbidden                       the caller may not do this
│   ├── RoleTooLow, ScopeMissing, QuotaExceeded, CsrfInvalid
│   └── SignatureInvalid, SignatureExpired
├── RateLimitExceeded
├── Conflict                        the state of the row does not allow the request
│   ├── TransitionRefused
│   ├── JobEnded, JobNotEnded, JobNotWaiting
│   ├── JobHasModel, ModelInUse, ModelAliased, ModelUsedAsTeacher
│   ├── TeacherInUse, TeacherInLineage, DatasetInUse, DatasetInLineage
│   └── KeyInactive, LastAdmin
├── UnprocessableRequest            the request does not fit the stored data
│   ├── TeacherUnknown, DatasetUnknown, ModelUnknown, AliasMismatch
│   ├── TeacherInvalid, DatasetInvalid
│   ├── DeadlinePassed, AddressRefused
│   ├── ArchitectureMismatch, ClassesMismatch, ImageTooSmall, ImageSizeUnsupported
│   ├── ClassesTooFew, LabelsMissing, LogitsNeeded, WeightsMismatch
│   ├── ComparisonSizeInvalid, CursorInvalid, LabelInvalid, LabelsTooMany
│   └── IdempotencyKeyReused
├── UploadTooLarge
├── StoreError                      the file store failed
│   └── StoredFileMissing, StoredFileCorrupt
├── DatabaseOutdated                migrations are missing
└── LeaseLost                       the attempt no longer owns the job: stop and write nothing
"""

from typing import Any, ClassVar

from dlkd_core.errors import LogitsNeeded as CoreLogitsNeeded
from dlkd_core.errors import WeightsDoNotFit


class RegistryError(Exception):
    """Base class of the registry's errors.

    Attributes:
        code: Error code for programs. It does not change between releases.
        message: What happened and why.
        hint: What to do next. Empty if there is nothing to do.
        pointer: JSON pointer to the request field that caused the error, or None.
    """

    code: ClassVar[str] = "registry_error"
    default_hint: ClassVar[str] = ""

    def __init__(
        self, message: str, *, hint: str | None = None, pointer: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.pointer = pointer

    def to_dict(self) -> dict[str, Any]:
        """Return the error in the format of `dlkd_core.errors.DistillationError.to_dict`."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "retryable": False}


class NotFound(RegistryError):
    code = "not_found"


class Unauthenticated(RegistryError):
    code = "key_invalid"
    default_hint = (
        "Send the header `Authorization: Bearer <key>` with a valid API key for this service."
    )


class KeyExpired(Unauthenticated):
    code = "key_expired"
    default_hint = "Ask an admin for a new API key."


class KeyRevoked(Unauthenticated):
    code = "key_revoked"
    default_hint = "Ask an admin for a new API key."


class SessionEnded(Unauthenticated):
    code = "session_ended"
    default_hint = "Sign in again."


class TokenInvalid(Unauthenticated):
    code = "token_invalid"
    default_hint = (
        "Request a new token from the issuer that this service trusts, with the audience of this "
        "service."
    )


class Forbidden(RegistryError):
    code = "forbidden"


class RoleTooLow(Forbidden):
    code = "role_too_low"
    default_hint = "GET /v1/me shows your role. Ask an admin for an API key with a higher role."


class CsrfInvalid(Forbidden):
    code = "csrf_invalid"
    default_hint = (
        "Send the csrf_token from GET /v1/session in the X-CSRF-Token header. In a browser, reload "
        "the page."
    )


class ScopeMissing(Forbidden):
    code = "scope_missing"
    default_hint = "GET /v1/me shows your scopes. Ask an admin for an API key with this scope."


class QuotaExceeded(Forbidden):
    code = "quota_exceeded"
    default_hint = "GET /v1/usage shows your limits and usage. Ask an admin to raise the limit."


class RateLimitExceeded(RegistryError):
    code = "rate_exceeded"
    default_hint = (
        "Wait for the number of seconds in Retry-After. The RateLimit headers show how many "
        "requests are left."
    )


class SignatureInvalid(Forbidden):
    code = "signature_invalid"
    default_hint = "Use the download URL exactly as the service returned it."


class SignatureExpired(Forbidden):
    code = "signature_expired"
    default_hint = "Request a new download URL with POST /v1/models/{id}/files/{name}/url."


class Conflict(RegistryError):
    code = "conflict"


class TransitionRefused(Conflict):
    code = "move_refused"


class JobEnded(Conflict):
    code = "job_ended"


class JobNotEnded(Conflict):
    code = "job_not_ended"
    default_hint = "Cancel the job first, or wait until it has ended."


class JobNotWaiting(Conflict):
    code = "job_not_waiting"
    default_hint = (
        "Change the priority only while the job is waiting. It sets the order in which jobs start."
    )


class JobHasModel(Conflict):
    code = "job_has_model"
    default_hint = "Set with_model=true to delete the model and its files as well."


class ModelInUse(Conflict):
    code = "model_in_use"
    default_hint = "Wait until the jobs that use the model as a teacher have ended, or cancel them."


class TeacherInUse(Conflict):
    code = "teacher_in_use"
    default_hint = "Wait until the jobs that use the teacher have ended, or cancel them."


class TeacherInLineage(Conflict):
    code = "teacher_in_lineage"
    default_hint = (
        "To delete the teacher anyway, use DELETE /v1/teachers/{id}?force=true (dlkd teacher rm "
        "--force). These models can then no longer be reproduced. Their lineage keeps the "
        "teacher's name and digest."
    )


class DatasetInUse(Conflict):
    code = "dataset_in_use"
    default_hint = (
        "Wait until the jobs that train or evaluate on the dataset have ended, or cancel them."
    )


class DatasetInLineage(Conflict):
    code = "dataset_in_lineage"
    default_hint = (
        "To delete the dataset anyway, use DELETE /v1/datasets/{id}?force=true (dlkd dataset rm "
        "--force). These models can then no longer be reproduced. Their lineage keeps the "
        "dataset's name and digests."
    )


class KeyInactive(Conflict):
    code = "key_ended"
    default_hint = "Create a new API key."


class LastAdmin(Conflict):
    code = "last_admin"
    default_hint = "Create another API key with the admin role first."


class ModelAliased(Conflict):
    code = "model_aliased"
    default_hint = (
        "Point the alias at another version or delete it. DELETE /v1/models/{id}?force=true "
        "deletes the model together with its aliases."
    )


class ModelUsedAsTeacher(Conflict):
    code = "model_taught"
    default_hint = (
        "To delete the model anyway, use DELETE /v1/models/{id}?force=true. The lineage of its "
        "students then ends at its id."
    )


class UnprocessableRequest(RegistryError):
    code = "unfit"


class AddressRefused(UnprocessableRequest):
    code = "address_refused"
    default_hint = (
        "Use a public https:// URL. Operators can allow others with DLKD_WEBHOOKS_HTTP and "
        "DLKD_WEBHOOKS_PRIVATE."
    )


class TeacherUnknown(UnprocessableRequest):
    code = "teacher_unknown"
    default_hint = "Upload the checkpoint with POST /v1/teachers and use the id that it returns."


class DatasetUnknown(UnprocessableRequest):
    code = "dataset_unknown"
    default_hint = "Upload the images with POST /v1/datasets and use the id that it returns."


class ModelUnknown(UnprocessableRequest):
    code = "model_unknown"
    default_hint = "GET /v1/models lists the models."


class AliasMismatch(UnprocessableRequest):
    code = "alias_elsewhere"
    default_hint = (
        "An alias can only point at a version of the model name that it belongs to. "
        "GET /v1/models?name=NAME lists the versions."
    )


class TeacherInvalid(UnprocessableRequest):
    code = "teacher_invalid"
    default_hint = "Upload a corrected checkpoint and use its id."


class DatasetInvalid(UnprocessableRequest):
    code = "dataset_invalid"
    default_hint = "Upload a corrected dataset and use its id."


class DeadlinePassed(UnprocessableRequest):
    code = "deadline_passed"
    default_hint = "Set a deadline in the future, or leave it out."


class ArchitectureMismatch(UnprocessableRequest):
    code = "architecture_differs"
    default_hint = (
        "Leave out teacher.architecture, or set it to the architecture that the check recognized."
    )


class ClassesMismatch(UnprocessableRequest):
    code = "classes_do_not_fit"
    default_hint = (
        "Set class_map to the teacher's class index of each dataset class, in the order of the "
        "dataset's classes."
    )


class ImageTooSmall(UnprocessableRequest):
    code = "image_too_small"
    default_hint = (
        "Choose an architecture that accepts smaller images (see min_size in GET /v1/catalog), or "
        "upload larger images."
    )


class ImageSizeUnsupported(UnprocessableRequest):
    code = "image_size_unfit"
    default_hint = (
        "Set dataset.image_size to a size that the architecture accepts (see min_size and max_size "
        "in GET /v1/catalog)."
    )


class ChannelsUnsupported(UnprocessableRequest):
    code = "channels_unfit"
    default_hint = "Set dataset.channels to 1 (grayscale) or 3 (RGB), or omit it."


class LogitsNeeded(UnprocessableRequest):
    code = "logits_needed"
    default_hint = CoreLogitsNeeded.default_hint


class WeightsMismatch(UnprocessableRequest):
    code = WeightsDoNotFit.code
    default_hint = WeightsDoNotFit.default_hint


class LabelsMissing(UnprocessableRequest):
    code = "labels_missing"
    default_hint = (
        "These methods need no labels: seed, compress, combine without the terms labels, supcon, "
        "dkd, nkd, ofa and crd, and methods such as kd and dlkd with the weights of their label "
        "terms set to 0."
    )


class ClassesTooFew(UnprocessableRequest):
    code = "classes_too_few"
    default_hint = "Set standardize to false, or use another method."


class ComparisonSizeInvalid(UnprocessableRequest):
    code = "comparison_size"
    default_hint = "List 2 to 20 model ids separated by commas, as in ids=model_a,model_b."


class CursorInvalid(UnprocessableRequest):
    code = "cursor_invalid"
    default_hint = (
        "Use the next_cursor of the previous page unchanged, or leave it out to get the first page."
    )


class LabelInvalid(UnprocessableRequest):
    code = "label_malformed"
    default_hint = "Write the label as key:value, as in label=team:vision."


class LabelsTooMany(UnprocessableRequest):
    code = "labels_too_many"
    default_hint = "A job can have up to 32 labels. Set a label to null to remove it."


class IdempotencyKeyReused(UnprocessableRequest):
    code = "idempotency_key_reused"
    default_hint = "Use a new Idempotency-Key for each new request."


class UploadTooLarge(RegistryError):
    code = "upload_too_large"
    default_hint = "Reduce the file size, or ask the operator to raise DLKD_MAX_UPLOAD_BYTES."


class StoreError(RegistryError):
    code = "store_failed"


class StoredFileMissing(StoreError):
    code = "file_missing"


class StoredFileCorrupt(StoreError):
    code = "file_corrupt"


class DatabaseOutdated(RegistryError):
    code = "database_behind"
    default_hint = (
        "Apply the migrations with `alembic upgrade head`. `dlkd up` applies them itself."
    )


class LeaseLost(RegistryError):
    code = "fenced"
