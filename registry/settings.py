"""Every setting of the service, read once at the doors and passed in. `.env.example` lists them."""

import os
import socket
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "DLKD_"
# Names of other programs of the project: the client's, and the tests' own places of data.
_NOT_SETTINGS = frozenset({"DLKD_URL", "DLKD_API_KEY", "DLKD_TEST_DATA", "DLKD_LOSS_REFERENCE"})

AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().resolve())]


def _in_data(pattern: str) -> Any:
    """A default that lies in the data folder."""
    return Field(default_factory=lambda values: pattern.format(data=values["data"]), validate_default=True)


class Settings(BaseSettings):
    """DLKD_… variables, or a `.env` file. Without any: SQLite, a file queue and a file store in one data folder."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_file=".env", extra="ignore", frozen=True)

    data: AbsolutePath = Field(Path("data"), description="Folder of everything that the embedded defaults keep")
    database_url: str = _in_data("sqlite:///{data}/dlkd.db")
    broker_url: str = _in_data("filesystem://{data}/queue")
    store_url: str = _in_data("file://{data}/store")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65_535, description="0: any free port")
    allowed_hosts: str = Field(
        "localhost,127.0.0.1,::1", description="Names that the Host header may have, by commas, beside `host` itself; * for any"
    )
    max_upload_bytes: int = Field(8 * 2**30, ge=1)

    worker_name: str = Field(default_factory=socket.gethostname, description="Shown beside the attempts that ran there")
    slots: int = Field(1, ge=1, description="Training jobs at once on this worker")
    trainer_threads: int | None = Field(
        None, ge=1, description="CPU threads of a trainer; left out: the cores shared by the slots"
    )
    trainer_memory_bytes: int | None = Field(
        None, ge=2**28, description="Of a trainer; left out: the machine's memory shared by the slots"
    )

    lease_seconds: float = Field(60, gt=0, description="A silent worker's job goes to another after so long")
    poll_seconds: float = Field(30, gt=0, description="Idle workers ask the database so often, whatever the broker does")
    progress_seconds: float = Field(1, gt=0, description="Progress reaches the row at most so often")
    dispatch_seconds: float = Field(2, gt=0, description="Between two rounds of the dispatcher")
    stop_seconds: float = Field(20, gt=0, description="A trainer that was asked to stop has so long to save a checkpoint")
    checkpoint_seconds: float = Field(10, ge=0, description="Checkpoints reach the store at most so often")
    check_seconds: float = Field(900, gt=0, description="The check of an upload may take so long")
    hang_seconds: float = Field(3600, gt=0, description="A trainer that says nothing for so long is taken for dead")
    cache_bytes: int = Field(20 * 2**30, ge=0, description="Of inputs that a worker keeps, where the store is not a local folder")
    retry_seconds: float = Field(10, ge=0, description="Before the first retry; doubled at each further one")
    max_attempts: int = Field(3, ge=1, description="Of one job, those given back by a worker that shuts down not counted")

    @property
    def host_names(self) -> list[str]:
        """The names under which the service may be called."""
        return [self.host, *(name.strip() for name in self.allowed_hosts.split(",") if name.strip())]

    @property
    def heartbeat_seconds(self) -> float:
        """Between two renewals of a lease, each of which writes the progress and reads the orders."""
        return min(self.progress_seconds, self.lease_seconds / 4)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_names(cls, values: Any) -> Any:
        known = {_PREFIX + name.upper() for name in cls.model_fields} | _NOT_SETTINGS
        unknown = sorted(name for name in os.environ if name.upper().startswith(_PREFIX) and name.upper() not in known)
        if unknown:
            raise ValueError(f"there is no setting called {', '.join(unknown)}; .env.example lists them all")
        return values
