"""What can be wrong with uploads in several requests, with uploads that are to go, and with bundles. Part of `registry.errors`.

RegistryError
├── Conflict
│   ├── OffsetDiffers           the client believes that more, or less, has come
│   ├── NotDirect               the bytes have to come through the service
│   ├── PartMissing             the parts in the store do not make up the whole
│   ├── TeacherInUse, DatasetInUse
│   └── TeacherInLineage, DatasetInLineage
├── UploadLocked                another request writes
├── ChecksumUnknown
├── ChecksumDiffers             of one request: it can be sent again
│   └── UploadCorrupt           of the whole: it must be sent again
└── Unfit
    ├── UploadUnknown, UploadUnfinished
    ├── PartOutside
    └── BundleInvalid
        └── BundleCorrupt
"""

from registry.errors import Conflict, RegistryError, Unfit


class OffsetDiffers(Conflict):
    code = "upload_offset_differs"
    default_hint = "Go on from the Upload-Offset of this answer."

    def __init__(self, received: int) -> None:
        super().__init__(f"{received} bytes have come.")
        self.received = received


class NotDirect(Conflict):
    code = "upload_not_direct"
    default_hint = "Send it by PATCH."

    def __init__(self, message: str = "The files of this service lie in a folder: nothing can be sent straight to it.") -> None:
        super().__init__(message)


class PartMissing(Conflict):
    code = "upload_part_missing"
    default_hint = "GET …/parts tells what is there and how long it is; send what is not, or not as it should be, again."


class TeacherInUse(Conflict):
    code = "teacher_in_use"
    default_hint = "Wait until the jobs that learn from it have ended, or cancel them."


class TeacherInLineage(Conflict):
    code = "teacher_in_lineage"
    default_hint = (
        "DELETE /v1/teachers/{id}?force=true (dlkd teacher rm --force) deletes it all the same: these models cannot be made "
        "again then; their lineage keeps its name and digest."
    )


class DatasetInUse(Conflict):
    code = "dataset_in_use"
    default_hint = "Wait until the jobs that learn or are measured on it have ended, or cancel them."


class DatasetInLineage(Conflict):
    code = "dataset_in_lineage"
    default_hint = (
        "DELETE /v1/datasets/{id}?force=true (dlkd dataset rm --force) deletes it all the same: these models cannot be made "
        "again then; their lineage keeps its name and digests."
    )


class UploadLocked(RegistryError):
    code = "upload_locked"
    default_hint = "Ask again in a moment: HEAD tells where to go on."


class ChecksumUnknown(RegistryError):
    code = "checksum_unknown"
    default_hint = "Write `sha256 <base64>` or `sha1 <base64>` of the bytes of this request."


class ChecksumDiffers(RegistryError):
    code = "checksum_differs"
    default_hint = "Nothing of this request was kept; send the same bytes again."


class UploadCorrupt(ChecksumDiffers):
    code = "upload_corrupt"
    default_hint = "Begin again with a new upload."


class UploadUnknown(Unfit):
    code = "upload_unknown"
    default_hint = "Send the file with POST /v1/uploads and name the id that comes back."


class UploadUnfinished(Unfit):
    code = "upload_unfinished"
    default_hint = "HEAD /v1/uploads/{id} tells where to go on."


class PartOutside(Unfit):
    code = "upload_part_outside"
    default_hint = "Parts lie between the `offset` of the upload and its `size`."


class BundleInvalid(Unfit):
    code = "bundle_invalid"
    default_hint = "Send the zip of GET /v1/models/{id}/bundle, unchanged."


class BundleCorrupt(BundleInvalid):
    code = "bundle_corrupt"
