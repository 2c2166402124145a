"""Every setting of the service, read once at the doors and passed in. `.env.example` lists them."""

import os
import socket
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from registry.access import Role

_PREFIX = "DLKD_"
# Names of other programs of the project: the client's, and the tests' own places of data.
_NOT_SETTINGS = frozenset(
    {
        "DLKD_URL",
        "DLKD_API_KEY",
        "DLKD_TEST_DATA",
        "DLKD_TEST_ALL_TIMM",
        "DLKD_TEST_LARGE_BYTES",
        "DLKD_LOSS_REFERENCE",
    }
)

_QUEUES = ("checks", "train", "train-cpu", "train-cuda")
_SCHEMES = {
    "database_url": {"sqlite", "postgres", "postgresql", "postgresql+psycopg"},
    "broker_url": {"filesystem", "redis", "rediss", "sentinel", "amqp", "amqps", "pyamqp"},
    "store_url": {"file", "s3"},
}

AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().resolve())]


def _in_data(pattern: str) -> Any:
    """A default that lies in the data folder."""
    return Field(default_factory=lambda values: pattern.format(data=values["data"]), validate_default=True)


class Settings(BaseSettings):
    """DLKD_… variables, or a `.env` file. Without any: SQLite, a file queue and a file store in one data folder."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    data: AbsolutePath = Field(Path("data"), description="Folder of everything that the embedded defaults keep")
    database_url: str = _in_data("sqlite:///{data}/dlkd.db")
    broker_url: str = _in_data("filesystem://{data}/queue")
    store_url: str = _in_data("file://{data}/store")
    store_public_url: str | None = Field(None, description="Where clients reach the S3 server, if not at AWS_ENDPOINT_URL")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65_535, description="0: any free port")
    allowed_hosts: str = Field(
        "localhost,127.0.0.1,::1", description="Names that the Host header may have, by commas, beside `host` itself; * for any"
    )
    max_upload_bytes: int = Field(8 * 2**30, ge=1)
    upload_seconds: float = Field(86_400, ge=60, description="An upload in several requests waits so long for its next one")

    rate_per_minute: int = Field(6000, ge=0, description="Requests of one key or token; 0: any number")
    rate_unknown_per_minute: int = Field(300, ge=0, description="Requests from one address whose key is refused; 0: any number")
    quota_queued_jobs: int | None = Field(None, ge=0, description="Of one owner, waiting at once; left out: any number")
    quota_running_jobs: int | None = Field(None, ge=0, description="Of one owner at once; more of them wait")
    quota_stored_bytes: int | None = Field(None, ge=0, description="Of one owner's uploads and models")
    quota_device_seconds: int | None = Field(None, ge=0, description="Of one owner's attempts in a calendar month (UTC)")

    oidc_issuer: str | None = Field(None, pattern="^https?://", description="Whose bearer tokens are taken beside keys")
    oidc_audience: str | None = Field(None, description="The `aud` that tokens for this service have")
    oidc_owner_claim: str = Field("sub", description="The claim that names the owner; people must not be able to choose it")
    oidc_role_claim: str = Field("roles", description="The claim that holds words, each of which may stand for a role")
    oidc_roles: dict[str, Role] = Field(default_factory=dict, description="From words of that claim to roles, as JSON")
    oidc_default_role: Role | None = Field(None, description="Of tokens with none of these words; left out: they are refused")

    oidc_client_id: str | None = Field(None, description="As which people sign in to the portal; left out: they do not")
    oidc_client_secret: SecretStr | None = Field(None, description="Of a confidential client; a public one has PKCE alone")
    oidc_scopes: str = "openid profile"
    oidc_redirect_url: str | None = Field(None, pattern="^https?://", description="Of /login/oidc/callback, behind a proxy")

    session_seconds: float = Field(43_200, ge=60, description="A browser that signed in to the portal stays so for so long")

    webhooks_http: bool = Field(False, description="Webhooks may go to http:// addresses, too")
    webhooks_private: bool = Field(False, description="Webhooks may go to addresses that are not the internet's, too")
    webhooks_ca_file: AbsolutePath | None = Field(
        None, description="Certificates (PEM) of authorities that receivers' own may come from, beside this machine's"
    )

    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    metrics: Literal["loopback", "key", "token", "off"] = Field("loopback", description="Who may read /metrics")
    metrics_token: SecretStr | None = Field(None, min_length=16, description="The bearer token of DLKD_METRICS=token")
    worker_metrics_host: str = "127.0.0.1"
    worker_metrics_port: int | None = Field(None, ge=1, le=65_535, description="A worker's own metrics; left out: none")
    tracing: bool = Field(
        False, description="Spans over OTLP; also where OTEL_EXPORTER_OTLP_ENDPOINT is set. Needs the extra `otel`"
    )

    worker_name: str = Field(default_factory=socket.gethostname, description="Shown beside the attempts that ran there")
    slots: int = Field(1, ge=1, description="Training jobs at once on this worker: on one with GPUs usually as many as those")
    queues: str = Field(
        "checks,train,train-cpu,train-cuda",
        description="What this worker serves, by commas: checks of uploads; jobs of device auto (train), cpu and cuda",
    )
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
    teacher_cache_bytes: int = Field(
        4 * 2**30, ge=0, description="Of teachers' answers that a worker keeps for the next job without a GPU; 0: none"
    )
    retry_seconds: float = Field(10, ge=0, description="Before the first retry; doubled at each further one")
    kept_checkpoint_seconds: float = Field(
        7 * 86_400, ge=0, description="Checkpoints of jobs that failed, were cancelled or expired stay so long, for a retry"
    )
    gc_grace_seconds: float = Field(
        3600, ge=0, description="Files that no row names stay so long: their upload may just be about to be written down"
    )
    kept_history_seconds: float | None = Field(
        None, ge=0, description="Events, metrics and logs of ended jobs stay so long; left out: for ever"
    )
    kept_answer_seconds: float = Field(86_400, ge=60, description="Answers to requests with an Idempotency-Key")
    max_attempts: int = Field(3, ge=1, description="Of one job, those given back by a worker that shuts down not counted")

    @property
    def host_names(self) -> list[str]:
        """The names under which the service may be called."""
        return [self.host, *(name.strip() for name in self.allowed_hosts.split(",") if name.strip())]

    @property
    def queue_names(self) -> list[str]:
        """The queues that a worker serves."""
        return [name.strip() for name in self.queues.split(",") if name.strip()]

    @property
    def heartbeat_seconds(self) -> float:
        """Between two renewals of a lease, each of which writes the progress and reads the orders."""
        return min(self.progress_seconds, self.lease_seconds / 4)

    @property
    def patience_seconds(self) -> float:
        """A leader or worker that is silent for so long, some rounds of the dispatcher, is taken for dead."""
        return max(10.0, 5 * self.dispatch_seconds)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_names(cls, values: Any) -> Any:
        known = {_PREFIX + name.upper() for name in cls.model_fields} | _NOT_SETTINGS
        given = {*os.environ, *dotenv_values(".env")}
        unknown = sorted(name for name in given if name.upper().startswith(_PREFIX) and name.upper() not in known)
        if unknown:
            raise ValueError(f"there is no setting called {', '.join(unknown)}; .env.example lists them all")
        return values

    @model_validator(mode="after")
    def _known_engines(self) -> Self:
        for name, schemes in _SCHEMES.items():
            scheme = urlsplit(getattr(self, name)).scheme
            if scheme not in schemes:
                raise ValueError(
                    f"{_PREFIX}{name.upper()} begins with {scheme!r}; it must be one of {', '.join(sorted(schemes))}"
                )
        return self

    @model_validator(mode="after")
    def _known_queues(self) -> Self:
        unknown = [name for name in self.queue_names if name not in _QUEUES]
        if unknown or not self.queue_names:
            raise ValueError(f"{_PREFIX}QUEUES names {', '.join(unknown) or 'none'}; there are {', '.join(_QUEUES)}")
        return self

    @model_validator(mode="after")
    def _authorities_are_there(self) -> Self:
        if self.webhooks_ca_file is not None:
            try:
                ssl.create_default_context(cafile=self.webhooks_ca_file)
            except OSError as error:
                raise ValueError(f"DLKD_WEBHOOKS_CA_FILE is no file of certificates in PEM: {error}") from error
        return self

    @model_validator(mode="after")
    def _no_contradictions(self) -> Self:
        if self.metrics == "token" and self.metrics_token is None:
            raise ValueError("DLKD_METRICS=token needs a DLKD_METRICS_TOKEN")
        if self.metrics_token is not None and self.metrics != "token":
            raise ValueError(f"DLKD_METRICS_TOKEN would open nothing with DLKD_METRICS={self.metrics}; set DLKD_METRICS=token")
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("DLKD_OIDC_ISSUER and DLKD_OIDC_AUDIENCE need each other: a token for others must open nothing here")
        if self.oidc_client_id is not None and self.oidc_issuer is None:
            raise ValueError("DLKD_OIDC_CLIENT_ID needs DLKD_OIDC_ISSUER")
        if self.store_public_url is not None and not self.store_url.startswith("s3:"):
            raise ValueError("DLKD_STORE_PUBLIC_URL is for an s3:// store: the API itself serves the files of a folder")
        if self.worker_metrics_port and (self.worker_metrics_host, self.worker_metrics_port) == (self.host, self.port):
            raise ValueError("DLKD_WORKER_METRICS_PORT is the API's own DLKD_PORT")
        return self


def words(error: ValidationError) -> str:
    """What is wrong with the settings, by name and without the values, which may be secret."""
    problems = [
        " ".join([*(f"{_PREFIX}{str(part).upper()}:" for part in entry["loc"]), entry["msg"].removeprefix("Value error, ")])
        for entry in error.errors()
    ]
    return "\n".join(["The DLKD_... settings are wrong:", *problems])
