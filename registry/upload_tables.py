"""The table of uploads that come in several requests."""

from datetime import datetime

from sqlalchemy import String, false
from sqlalchemy.orm import Mapped, mapped_column

from registry.base import Base
from registry.db import PlainText

METADATA_LENGTH = 4096


class Upload(Base):
    """A file on its way. `received` bytes are kept; with all of them there is a `digest`, under which the file is stored.

    `holder` is the request that writes, until `held_until` if it falls silent. `sha256` is what its sender says, `told` the
    metadata as they were sent. What was `used` is counted where it was used.
    """

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    filename: Mapped[str]
    told: Mapped[str] = mapped_column(PlainText(METADATA_LENGTH))
    size: Mapped[int]
    received: Mapped[int]
    sha256: Mapped[str | None] = mapped_column(String(64))
    digest: Mapped[str | None] = mapped_column(String(64), index=True)
    used: Mapped[bool] = mapped_column(default=False, server_default=false())
    holder: Mapped[str | None]
    held_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
