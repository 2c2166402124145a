"""Wire formats of resumable uploads and of parts that are sent directly to the object store."""

from datetime import datetime, timedelta

from pydantic import Field, computed_field

from api.schemas.base import ResponseModel
from dlkd_core.common import FrozenModel


class FileUploadOut(ResponseModel):
    """A resumable upload of one file."""

    id: str
    owner: str
    filename: str
    size: int = Field(description="Size of the whole file in bytes.")
    offset: int = Field(validation_alias="received", description="Number of bytes received so far.")
    sha256: str | None = Field(
        validation_alias="digest",
        description="SHA-256 of the file. Null until the file is complete.",
    )
    created_at: datetime
    expires_at: datetime = Field(
        description="Time when the upload will be deleted. Every request that adds data postpones "
        "the deletion."
    )

    @computed_field(  # type: ignore[prop-decorator]  # the decorator order that pydantic documents
        description="Whether the file is complete. If so, `id` can be used as `upload_id`."
    )
    @property
    def finished(self) -> bool:
        return self.sha256 is not None


class UploadPartRequest(FrozenModel):
    """A byte range of the file."""

    offset: int = Field(
        ge=0, le=2**62, description="Position of the range's first byte in the file."
    )
    size: int = Field(
        ge=1,
        le=5 * 2**30,
        description="Size in bytes. At most 5 GiB, which is S3's limit for a part.",
    )


class SignPartsRequest(FrozenModel):
    """Parts of an upload that the client will send directly to the object store."""

    parts: list[UploadPartRequest] = Field(min_length=1, max_length=1000)
    expires_seconds: int = Field(
        3600,
        ge=1,
        le=86_400,
        description="Lifetime of the URLs in seconds. It is capped at the lifetime of an "
        "idle upload.",
    )

    @property
    def lifetime(self) -> timedelta:
        return timedelta(seconds=self.expires_seconds)


class UploadPartOut(ResponseModel):
    """A part in the object store."""

    offset: int
    size: int


class UploadPartsOut(ResponseModel):
    """The parts in the object store, sorted by offset."""

    parts: list[UploadPartOut]


class SignedPartOut(UploadPartOut):
    """A signed URL to which one part can be sent with PUT and without an API key."""

    url: str
    expires_at: datetime


class SignedPartsOut(ResponseModel):
    """Signed URLs in the order of the requested parts."""

    parts: list[SignedPartOut]
