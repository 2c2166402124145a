"""Request headers of the tus 1.0 protocol (https://tus.io/protocols/resumable-upload)."""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass, replace
from typing import Annotated, Self

from fastapi import Header
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.uploads.multipart import sanitize_filename
from registry.uploads.resumable_uploads import UploadInfo
from registry.uploads.upload_errors import ChecksumUnsupported

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
CHECKSUM_ALGORITHMS = ("sha256", "sha1")
OFFSET_STREAM = "application/offset+octet-stream"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_METADATA_KEY = re.compile(r"[!-+\--~]+")  # printable ASCII except space and comma

VersionHeader = Annotated[
    str | None, Header(alias="Tus-Resumable", description=f"Must be {VERSION}.")
]
OffsetHeader = Annotated[
    int,
    Header(alias="Upload-Offset", ge=0, le=2**62, description="Number of bytes received so far."),
]
LengthHeader = Annotated[
    int,
    Header(alias="Upload-Length", ge=1, le=2**62, description="Size of the whole file in bytes."),
]
MetadataHeader = Annotated[
    str,
    Header(
        alias="Upload-Metadata",
        max_length=4096,
        description="Comma-separated pairs of a key and its base64 value. Only the keys "
        "`filename` and `sha256` are used.",
    ),
]
ChecksumHeader = Annotated[
    str | None,
    Header(
        alias="Upload-Checksum",
        description="`sha256` or `sha1`, a space, and the base64 digest of the bytes in this "
        "request.",
    ),
]


@dataclass(frozen=True)
class Checksum:
    """Expected digest of the bytes of one request."""

    algorithm: str
    digest: bytes

    @classmethod
    def from_header(cls, header: str) -> Self:
        """Parse the Upload-Checksum header.

        Raises:
            ChecksumUnsupported: The algorithm is unsupported or the digest is not base64.
        """
        algorithm, _, text = header.strip().partition(" ")
        try:
            digest = b64decode(text, validate=True)
        except (Base64Error, ValueError) as error:
            raise ChecksumUnsupported("The checksum is not valid base64.") from error
        if algorithm not in CHECKSUM_ALGORITHMS:
            raise ChecksumUnsupported(f"Unsupported checksum algorithm {algorithm!r}.")
        return cls(algorithm, digest)


@dataclass(frozen=True)
class Chunk:
    """Position and expected checksum of the bytes in one request."""

    offset: int
    checksum: Checksum | None


def require_version(version: VersionHeader = None) -> None:
    """Reject a request that uses another protocol version. The status is 412."""
    if version != VERSION:
        raise HTTPException(
            412, f"The header Tus-Resumable must be {VERSION}.", {"Tus-Version": VERSION}
        )


def parse_upload_info(
    length: LengthHeader, metadata: MetadataHeader = "", version: VersionHeader = None
) -> UploadInfo:
    """Parse the headers that describe the file of a new upload.

    Raises:
        RequestValidationError: The Upload-Metadata header is malformed.
    """
    require_version(version)
    values = (
        dict(_parse_metadata_pair(pair) for pair in metadata.split(",")) if metadata.strip() else {}
    )
    sha256 = values.get("sha256", b"").decode("ascii", errors="replace").lower() or None
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise _metadata_error("sha256 must be 64 hexadecimal digits")
    filename = values.get("filename", b"").decode("utf-8", errors="replace")
    return UploadInfo(length, sanitize_filename(filename), sha256, metadata)


def parse_first_chunk(checksum: ChecksumHeader = None) -> Chunk:
    """Parse the headers that describe the bytes sent in the request that creates an upload."""
    return Chunk(0, None if checksum is None else Checksum.from_header(checksum))


def parse_next_chunk(
    offset: OffsetHeader, checksum: ChecksumHeader = None, version: VersionHeader = None
) -> Chunk:
    """Parse the headers that describe the next bytes of an upload."""
    require_version(version)
    return replace(parse_first_chunk(checksum), offset=offset)


def _parse_metadata_pair(pair: str) -> tuple[str, bytes]:
    key, _, text = pair.strip().partition(" ")
    if not _METADATA_KEY.fullmatch(key):
        raise _metadata_error(
            "must be comma-separated pairs of a key and a base64 value, such as "
            "`filename dGVhY2hlci5wdA==,sha256 ...`"
        )
    try:
        return key, b64decode(text, validate=True)
    except (Base64Error, ValueError) as error:
        raise _metadata_error(f"the value of {key} is not valid base64") from error


def _metadata_error(reason: str) -> RequestValidationError:
    return RequestValidationError(
        [{"type": "metadata_invalid", "loc": ("header", "Upload-Metadata"), "msg": reason}]
    )
