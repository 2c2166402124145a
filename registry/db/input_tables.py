"""Tables of stored files and uploads: artifacts, teachers, datasets and resumable uploads."""

from datetime import datetime
from typing import Any

from sqlalchemy import String, false
from sqlalchemy.orm import Mapped, mapped_column

from registry.db.base import Base
from registry.db.column_types import PlainText

MAX_METADATA_LENGTH = 4096


class Artifact(Base):
    """A stored file, named by its sha256.

    The row also serves as a lock. It prevents the file from being deleted while the same bytes are
    being stored again.
    """

    __tablename__ = "artifacts"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    size: Mapped[int]
    created_at: Mapped[datetime]


class InputColumns:
    """Columns that teachers and datasets share.

    `error` explains why the check failed.
    """

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    filename: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int]
    status: Mapped[str] = mapped_column(String(16))
    error: Mapped[dict[str, Any] | None]
    check_job_id: Mapped[str]
    created_at: Mapped[datetime]


class Teacher(InputColumns, Base):
    """An uploaded checkpoint.

    `options`, `normalization` and similar columns first hold the values that the client declared,
    and later the values that the check determined. `alternatives` names the networks that the
    weights fit as well as `architecture`.
    """

    __tablename__ = "teachers"

    format: Mapped[str] = mapped_column(String(16))
    architecture: Mapped[str | None]
    options: Mapped[dict[str, Any]]
    num_classes: Mapped[int | None]
    normalization: Mapped[dict[str, Any] | None]
    parameters: Mapped[int | None]
    notices: Mapped[list[Any] | None]
    alternatives: Mapped[list[Any] | None]


class Dataset(InputColumns, Base):
    """An uploaded dataset and, once it has been checked, its packed form."""

    __tablename__ = "datasets"

    packed_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    classes: Mapped[list[Any] | None]
    splits: Mapped[dict[str, Any] | None]
    class_counts: Mapped[dict[str, Any] | None]
    samples: Mapped[dict[str, Any] | None]
    samples_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    image: Mapped[dict[str, Any] | None]
    notices: Mapped[list[Any] | None]
    # Large, and needed on the dataset's own page only
    report: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    examples_sha256: Mapped[str | None] = mapped_column(String(64), index=True)


class Upload(Base):
    """A file that arrives in several requests.

    Attributes:
        raw_metadata: The client's ``Upload-Metadata`` header, unparsed.
        received: Number of bytes stored so far.
        sha256: Checksum that the client declared.
        digest: Key of the complete file in the store. Null until the file has been stored.
        used: Whether a teacher, dataset or model was created from the upload. If so, the file
            counts toward the owner's stored bytes through that resource, not through the upload.
        holder: The request that holds the lease on the upload. The lease ends at `held_until`
            unless the request renews it.
    """

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    filename: Mapped[str]
    raw_metadata: Mapped[str] = mapped_column("told", PlainText(MAX_METADATA_LENGTH))
    size: Mapped[int]
    received: Mapped[int]
    sha256: Mapped[str | None] = mapped_column(String(64))
    digest: Mapped[str | None] = mapped_column(String(64), index=True)
    used: Mapped[bool] = mapped_column(default=False, server_default=false())
    holder: Mapped[str | None]
    held_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
