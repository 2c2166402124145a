"""What can be wrong with uploads that come in several requests, and with bundles. Part of the tree in `registry.errors`.

RegistryError
├── Conflict
│   └── OffsetDiffers           the client believes that more, or less, has come
├── UploadLocked                another request writes
├── ChecksumUnknown
├── ChecksumDiffers             of one request: it can be sent again
│   └── UploadCorrupt           of the whole: it must be sent again
└── Unfit
    ├── UploadUnknown, UploadUnfinished
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


class BundleInvalid(Unfit):
    code = "bundle_invalid"
    default_hint = "Send the zip of GET /v1/models/{id}/bundle, unchanged."


class BundleCorrupt(BundleInvalid):
    code = "bundle_corrupt"
