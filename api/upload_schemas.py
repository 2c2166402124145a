"""Uploads that come in several requests: what the service answers, and what clients say in the headers of the protocol."""

import re
from base64 import b64decode
from binascii import Error as NoBase64
from datetime import datetime, timedelta

from fastapi.exceptions import RequestValidationError
from pydantic import Field, computed_field

from api.schemas import Out
from api.uploads import plain_name
from dlkd_core.frozen import Frozen
from registry.resumable import Told

_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[!-+\--~]+")  # ASCII without the space and the comma


class FileUploadOut(Out):
    """A file on its way."""

    id: str
    owner: str
    filename: str
    size: int = Field(description="Bytes of the whole")
    offset: int = Field(validation_alias="received", description="Bytes that have come")
    sha256: str | None = Field(validation_alias="digest", description="Of the whole, once all of it has come")
    created_at: datetime
    expires_at: datetime = Field(description="Forgotten then, unless more comes before")

    @computed_field(description="Whether it can be named as upload_id")  # type: ignore[prop-decorator]  # pydantic's own way
    @property
    def finished(self) -> bool:
        return self.sha256 is not None


class PartIn(Frozen):
    """Some bytes of the file."""

    offset: int = Field(ge=0, le=2**62, description="Where they begin in it")
    size: int = Field(ge=1, le=5 * 2**30, description="5 GiB at most: S3 takes no more in one request")


class PartsForm(Frozen):
    """Parts of an upload that are to be sent straight to the store."""

    parts: list[PartIn] = Field(min_length=1, max_length=1000)
    expires_seconds: int = Field(3600, ge=1, le=86_400, description="No longer than an upload waits in any case")

    @property
    def lifetime(self) -> timedelta:
        return timedelta(seconds=self.expires_seconds)


class PartOut(Out):
    """A part that is in the store."""

    offset: int
    size: int


class PartsOut(Out):
    """The parts that are in the store, by offset."""

    parts: list[PartOut]


class PartAddress(PartOut):
    """Where to PUT the bytes of a part, without a key."""

    url: str
    expires_at: datetime


class PartAddresses(Out):
    """In the order in which they were asked for."""

    parts: list[PartAddress]


def told(size: int, metadata: str) -> Told:
    """What the headers say of the file; `RequestValidationError` names `Upload-Metadata` where it is malformed."""
    known = dict(_pair(entry) for entry in metadata.split(",")) if metadata.strip() else {}
    sha256 = known.get("sha256", b"").decode("ascii", errors="replace").lower() or None
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise _wrong("sha256 is not 64 hexadecimal digits")
    return Told(size, plain_name(known.get("filename", b"").decode("utf-8", errors="replace")), sha256, metadata)


def _pair(entry: str) -> tuple[str, bytes]:
    key, _, text = entry.strip().partition(" ")
    if not _KEY.fullmatch(key):
        raise _wrong("it must be keys and base64 by commas: filename dGVhY2hlci5wdA==,sha256 ...")
    try:
        return key, b64decode(text, validate=True)
    except (NoBase64, ValueError) as error:
        raise _wrong(f"the value of {key} is not base64") from error


def _wrong(why: str) -> RequestValidationError:
    return RequestValidationError([{"type": "metadata_invalid", "loc": ("header", "Upload-Metadata"), "msg": why}])
