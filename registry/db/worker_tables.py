"""Tables of worker processes, and of roles, such as leader, that only one process may hold."""

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from registry.db.base import Base


class WorkerRow(Base):
    """A worker process: its host, slots, queues, devices and last heartbeat."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    hostname: Mapped[str]
    pid: Mapped[int] = mapped_column(Integer)
    version: Mapped[str] = mapped_column(default="", server_default="")
    slots: Mapped[dict[str, Any]]
    # The queues that the worker serves. If empty, it serves all queues.
    queues: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'"))
    devices: Mapped[list[Any]]
    draining: Mapped[str | None] = mapped_column(String(16))  # a DrainMode
    started_at: Mapped[datetime]
    last_seen: Mapped[datetime] = mapped_column(index=True)


class Leader(Base):
    """A role that only one process may hold at a time. `holder` holds it until `expires_at`."""

    __tablename__ = "leaders"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str]
    expires_at: Mapped[datetime]
