"""Errors of resumable uploads and imported bundles. They extend the tree in `registry.errors`.

RegistryError
├── Conflict
│   ├── OffsetMismatch              the client assumes a wrong number of received bytes
│   ├── DirectUploadUnavailable     the bytes must be sent through the API
│   └── UploadPartMissing           the parts in the store do not add up to the file
├── UploadLocked                    another request is writing
├── ChecksumUnsupported
├── ChecksumMismatch                the bytes of one request are wrong: send them again
│   └── UploadCorrupt               the whole file is wrong: upload it again
└── UnprocessableRequest
    ├── UploadUnknown, UploadUnfinished
    ├── UploadPartOutOfRange
    └── BundleInvalid
        └── BundleCorrupt
"""

from registry.errors import Conflict, RegistryError, UnprocessableRequest


class OffsetMismatch(Conflict):
    code = "upload_offset_differs"
    default_hint = "Continue at the Upload-Offset of this response."

    def __init__(self, received: int) -> None:
        super().__init__(f"The service has received {received} bytes of this upload.")
        self.received = received


class DirectUploadUnavailable(Conflict):
    code = "upload_not_direct"
    default_hint = "Send the bytes to the API with PATCH."

    def __init__(
        self,
        message: str = "This service keeps its files in a local folder, so parts cannot be "
        "uploaded directly to the store.",
    ) -> None:
        super().__init__(message)


class UploadPartMissing(Conflict):
    code = "upload_part_missing"
    default_hint = (
        "GET /v1/uploads/{id}/parts lists the stored parts and their sizes. Send missing or wrong "
        "parts again."
    )


class UploadLocked(RegistryError):
    code = "upload_locked"
    default_hint = "Try again in a moment. HEAD /v1/uploads/{id} returns the offset to continue at."


class ChecksumUnsupported(RegistryError):
    code = "checksum_unknown"
    default_hint = (
        "Send `sha256 <base64>` or `sha1 <base64>`, computed over the bytes of this request."
    )


class ChecksumMismatch(RegistryError):
    code = "checksum_differs"
    default_hint = "No bytes of this request were kept. Send the same bytes again."


class UploadCorrupt(ChecksumMismatch):
    code = "upload_corrupt"
    default_hint = "Start again with a new upload."


class UploadUnknown(UnprocessableRequest):
    code = "upload_unknown"
    default_hint = "Upload the file with POST /v1/uploads and use the id that it returns."


class UploadUnfinished(UnprocessableRequest):
    code = "upload_unfinished"
    default_hint = "HEAD /v1/uploads/{id} returns the offset to continue at."


class UploadPartOutOfRange(UnprocessableRequest):
    code = "upload_part_outside"
    default_hint = "Parts must start at or after the upload's `offset` and end within its `size`."


class BundleInvalid(UnprocessableRequest):
    code = "bundle_invalid"
    default_hint = "Send the zip file from GET /v1/models/{id}/bundle unchanged."


class BundleCorrupt(BundleInvalid):
    code = "bundle_corrupt"
