"""Settings of the service. Entry points read them once and pass them on.

`.env.example` lists all settings.
"""

import os
import socket
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from registry.access.permissions import Role
from registry.jobs.queue_names import QueueName

_PREFIX = "DLKD_"
# Variables with the same prefix that the client and the tests read.
_OTHER_VARIABLES = frozenset(
    {
        "DLKD_URL",
        "DLKD_API_KEY",
        "DLKD_TEST_DATA",
        "DLKD_TEST_ALL_TIMM",
        "DLKD_TEST_LARGE_BYTES",
        "DLKD_LOSS_REFERENCE",
    }
)

_SCHEMES = {
    "database_url": {"sqlite", "postgres", "postgresql", "postgresql+psycopg"},
    "broker_url": {"filesystem", "redis", "rediss", "sentinel", "amqp", "amqps", "pyamqp"},
    "store_url": {"file", "s3"},
}

AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().resolve())]


def _default_in_data_folder(template: str, *, description: str) -> Any:
    return Field(
        # Characters such as # and % are legal in a folder's name but have a meaning in a URL.
        default_factory=lambda values: template.format(data=quote(str(values["data"]))),
        validate_default=True,
        description=description,
    )


class Settings(BaseSettings):
    """Settings from `DLKD_…` environment variables or a `.env` file.

    By default, the service uses SQLite, a file queue and a file store, all in one data folder.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    data: AbsolutePath = Field(
        Path("data"),
        description="Folder for the embedded database, queue and file store, and for temporary "
        "files.",
    )
    database_url: str = _default_in_data_folder(
        "sqlite:///{data}/dlkd.db",
        description="Database URL: `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`.",
    )
    broker_url: str = _default_in_data_folder(
        "filesystem://{data}/queue",
        description="Celery broker URL: `filesystem://PATH`, `redis://HOST:6379/0` or "
        "`amqp://USER:PASSWORD@HOST//`.",
    )
    store_url: str = _default_in_data_folder(
        "file://{data}/store",
        description="File store URL: `file://PATH` or `s3://BUCKET/PREFIX`. S3 credentials come "
        "from the standard `AWS_…` variables.",
    )
    store_public_url: str | None = Field(
        None,
        description="URL at which clients reach the S3 server, if it differs from "
        "AWS_ENDPOINT_URL.",
    )
    host: str = Field("127.0.0.1", description="Address on which the API listens.")
    port: int = Field(
        8000, ge=0, le=65_535, description="Port on which the API listens. 0 picks a free port."
    )
    allowed_hosts: str = Field(
        "localhost,127.0.0.1,::1",
        description="Comma-separated host names that are accepted in the Host header, in "
        "addition to DLKD_HOST. * accepts any host name.",
    )
    max_upload_bytes: int = Field(
        8 * 2**30, ge=1, description="Maximum size of an upload in bytes."
    )
    upload_seconds: float = Field(
        86_400,
        ge=60,
        description="Time in seconds after which a resumable upload expires if no request "
        "continues it.",
    )

    rate_per_minute: int = Field(
        6000,
        ge=0,
        description="Maximum number of requests per minute for each API key or token. 0 disables "
        "the limit.",
    )
    rate_unknown_per_minute: int = Field(
        300,
        ge=0,
        description="Maximum number of requests per minute for each client address that sends "
        "invalid credentials. 0 disables the limit.",
    )
    quota_queued_jobs: int | None = Field(
        None,
        ge=0,
        description="Maximum number of waiting jobs per owner. Unlimited if unset.",
    )
    quota_running_jobs: int | None = Field(
        None,
        ge=0,
        description="Maximum number of running jobs per owner. Further jobs wait. Unlimited if "
        "unset.",
    )
    quota_stored_bytes: int | None = Field(
        None,
        ge=0,
        description="Maximum total size of an owner's uploads and models in bytes. Unlimited "
        "if unset.",
    )
    quota_device_seconds: int | None = Field(
        None,
        ge=0,
        description="Maximum device time in seconds that an owner's jobs can use per calendar "
        "month (UTC). Unlimited if unset.",
    )

    oidc_issuer: str | None = Field(
        None,
        pattern="^https?://",
        description="URL of the OpenID Connect issuer whose bearer tokens are accepted in "
        "addition to API keys.",
    )
    oidc_audience: str | None = Field(
        None, description="Audience (`aud`) for which tokens must be issued."
    )
    oidc_owner_claim: str = Field(
        "sub",
        description="Token claim that identifies the owner of the resources that the token "
        "creates. Choose a claim that users cannot set themselves.",
    )
    oidc_role_claim: str = Field(
        "roles", description="Token claim that contains the user's groups or roles at the issuer."
    )
    oidc_roles: dict[str, Role] = Field(
        default_factory=dict,
        description="Mapping from values of the role claim to roles of this service, as JSON.",
    )
    oidc_default_role: Role | None = Field(
        None,
        description="Role for tokens whose role claim contains none of the mapped values. If "
        "unset, such tokens are rejected.",
    )

    oidc_client_id: str | None = Field(
        None,
        description="Client id for signing in to the portal with OpenID Connect. If unset, the "
        "portal accepts API keys only.",
    )
    oidc_client_secret: SecretStr | None = Field(
        None, description="Client secret. Leave it unset for a public client, which uses only PKCE."
    )
    oidc_scopes: str = Field(
        "openid profile", description="Scopes to request when a user signs in."
    )
    oidc_redirect_url: str | None = Field(
        None,
        pattern="^https?://",
        description="Public URL of `/login/oidc/callback`. Set it if a proxy changes the "
        "service's address.",
    )

    session_seconds: float = Field(
        43_200, ge=60, description="Lifetime of a portal session in seconds."
    )

    webhooks_http: bool = Field(False, description="Allow webhooks to http:// URLs.")
    webhooks_private: bool = Field(
        False, description="Allow webhooks to private and loopback addresses."
    )
    webhooks_ca_file: AbsolutePath | None = Field(
        None,
        description="PEM file with CA certificates to trust for webhook receivers, in addition "
        "to those that the machine trusts.",
    )

    log_format: Literal["console", "json"] = Field(
        "console",
        description="Log format on standard error: `console` for people, `json` for machines.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Minimum level of the messages that are logged."
    )
    metrics: Literal["loopback", "key", "token", "off"] = Field(
        "loopback",
        description="Access to /metrics: `loopback` (direct requests from this machine), `key` "
        "(API key of an operator or admin), `token` (DLKD_METRICS_TOKEN) or `off`.",
    )
    metrics_token: SecretStr | None = Field(
        None, min_length=16, description="Bearer token for /metrics. Requires DLKD_METRICS=token."
    )
    worker_metrics_host: str = Field(
        "127.0.0.1", description="Address on which a worker serves its metrics."
    )
    worker_metrics_port: int | None = Field(
        None,
        ge=1,
        le=65_535,
        description="Port on which a worker serves its metrics. If unset, they are not served.",
    )
    tracing: bool = Field(
        False,
        description="Export OpenTelemetry traces over OTLP. Setting "
        "OTEL_EXPORTER_OTLP_ENDPOINT also enables them. Requires the extra `otel`.",
    )

    worker_name: str = Field(
        default_factory=socket.gethostname,
        description="Name of this worker. It is shown with the attempts that the worker runs.",
    )
    slots: int = Field(
        1,
        ge=1,
        description="Number of training jobs that this worker runs at the same time. Usually "
        "one per GPU.",
    )
    queues: str = Field(
        "checks,train,train-cpu,train-cuda",
        description="Comma-separated queues that this worker serves: `checks` for upload checks, "
        "and `train`, `train-cpu` and `train-cuda` for training jobs that request the device auto, "
        "cpu or cuda, respectively.",
    )
    trainer_threads: int | None = Field(
        None,
        ge=1,
        description="Number of CPU threads per trainer. If unset, the slots share the machine's "
        "cores.",
    )
    trainer_memory_bytes: int | None = Field(
        None,
        ge=2**28,
        description="Memory limit per trainer in bytes. If unset, the slots share the machine's "
        "memory.",
    )

    lease_seconds: float = Field(
        60,
        gt=0,
        description="Time in seconds after which the jobs of a worker that has stopped "
        "responding are given to another worker.",
    )
    poll_seconds: float = Field(
        30,
        gt=0,
        description="Interval in seconds at which idle workers poll the database. They do so "
        "even if the broker is available.",
    )
    progress_seconds: float = Field(
        1, gt=0, description="Minimum interval between a job's progress updates, in seconds."
    )
    dispatch_seconds: float = Field(
        2, gt=0, description="Interval between dispatcher rounds, in seconds."
    )
    stop_seconds: float = Field(
        20,
        gt=0,
        description="Time in seconds that a trainer has for saving a checkpoint when it is asked "
        "to stop.",
    )
    checkpoint_seconds: float = Field(
        10,
        ge=0,
        description="Minimum interval between checkpoint uploads to the store, in seconds.",
    )
    check_seconds: float = Field(
        900, gt=0, description="Maximum duration of an upload check in seconds."
    )
    hang_seconds: float = Field(
        3600,
        gt=0,
        description="Time in seconds without output after which a trainer is considered hung.",
    )
    cache_bytes: int = Field(
        20 * 2**30,
        ge=0,
        description="Maximum size in bytes of a worker's cache of input files. The cache is not "
        "used if the store is a local folder.",
    )
    teacher_cache_bytes: int = Field(
        4 * 2**30,
        ge=0,
        description="Maximum size in bytes of a worker's cache of teacher outputs. Later jobs on "
        "the CPU reuse them. 0 disables the cache.",
    )
    retry_seconds: float = Field(
        10,
        ge=0,
        description="Delay in seconds before the first retry. It doubles with each further retry.",
    )
    kept_checkpoint_seconds: float = Field(
        7 * 86_400,
        ge=0,
        description="Time in seconds for which the checkpoints of failed, cancelled and expired "
        "jobs are kept. A retry continues from them.",
    )
    gc_grace_seconds: float = Field(
        3600,
        ge=0,
        description="Minimum age in seconds at which unreferenced files are removed. It protects "
        "uploads that are in progress.",
    )
    kept_history_seconds: float | None = Field(
        None,
        ge=0,
        description="Time in seconds for which the events, metrics and logs of ended jobs are "
        "kept. If unset, they are kept forever.",
    )
    kept_answer_seconds: float = Field(
        86_400,
        ge=60,
        description="Time in seconds for which responses to requests with an Idempotency-Key "
        "are kept.",
    )
    max_attempts: int = Field(
        3,
        ge=1,
        description="Maximum number of attempts per job. Attempts that end because "
        "a worker shuts down do not count.",
    )

    @property
    def host_names(self) -> list[str]:
        """Host names accepted in the Host header."""
        return [
            self.host,
            *(name.strip() for name in self.allowed_hosts.split(",") if name.strip()),
        ]

    @property
    def queue_names(self) -> list[str]:
        """Queues that this worker serves."""
        return [name.strip() for name in self.queues.split(",") if name.strip()]

    @property
    def heartbeat_seconds(self) -> float:
        """Interval between heartbeats.

        A heartbeat renews the lease, writes the progress and checks whether the job must stop.
        """
        return min(self.progress_seconds, self.lease_seconds / 4)

    @property
    def liveness_seconds(self) -> float:
        """Time without a heartbeat after which a leader or worker is considered dead."""
        return max(10.0, 5 * self.dispatch_seconds)

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_names(cls, values: Any) -> Any:
        known = {_PREFIX + name.upper() for name in cls.model_fields} | _OTHER_VARIABLES
        unknown = sorted(
            name
            for name in {*os.environ, *dotenv_values(".env")}
            if name.upper().startswith(_PREFIX) and name.upper() not in known
        )
        if unknown:
            raise ValueError(
                f"There is no setting named {', '.join(unknown)}. "
                "All settings are listed in .env.example."
            )
        return values

    @model_validator(mode="after")
    def _check_engines(self) -> Self:
        for name, schemes in _SCHEMES.items():
            scheme = urlsplit(getattr(self, name)).scheme
            if scheme not in schemes:
                raise ValueError(
                    f"{_PREFIX}{name.upper()} has the unsupported URL scheme {scheme!r}. "
                    f"Use one of {', '.join(sorted(schemes))}."
                )
        for name, scheme in (("broker_url", "filesystem"), ("store_url", "file")):
            url = getattr(self, name)
            if urlsplit(url).scheme == scheme and ("?" in url or "#" in url):
                raise ValueError(
                    f"{_PREFIX}{name.upper()} must not contain ? or #. In the path of a folder, "
                    "write %3F for ?, %23 for # and %25 for %."
                )
        return self

    @model_validator(mode="after")
    def _check_queues(self) -> Self:
        unknown = [name for name in self.queue_names if name not in set(QueueName)]
        if unknown:
            raise ValueError(
                f"{_PREFIX}QUEUES contains unknown queues: {', '.join(unknown)}. "
                f"Use {', '.join(QueueName)}."
            )
        if not self.queue_names:
            raise ValueError(
                f"{_PREFIX}QUEUES is empty. Name at least one of {', '.join(QueueName)}."
            )
        return self

    @model_validator(mode="after")
    def _check_ca_file(self) -> Self:
        if self.webhooks_ca_file is not None:
            try:
                ssl.create_default_context(cafile=self.webhooks_ca_file)
            except OSError as error:
                raise ValueError(
                    f"DLKD_WEBHOOKS_CA_FILE is not a readable PEM file with certificates: {error}"
                ) from error
        return self

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if self.metrics == "token" and self.metrics_token is None:
            raise ValueError("DLKD_METRICS=token requires DLKD_METRICS_TOKEN.")
        if self.metrics_token is not None and self.metrics != "token":
            raise ValueError(
                f"DLKD_METRICS_TOKEN has no effect with DLKD_METRICS={self.metrics}. "
                "Set DLKD_METRICS=token or unset the token."
            )
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            # Without an audience, tokens issued for other services would be accepted here.
            raise ValueError("DLKD_OIDC_ISSUER and DLKD_OIDC_AUDIENCE must be set together.")
        if self.oidc_client_id is not None and self.oidc_issuer is None:
            raise ValueError("DLKD_OIDC_CLIENT_ID requires DLKD_OIDC_ISSUER.")
        if self.store_public_url is not None and not self.store_url.startswith("s3:"):
            raise ValueError(
                "DLKD_STORE_PUBLIC_URL requires an s3:// store. Files in a local folder are "
                "served by the API itself."
            )
        if self.worker_metrics_port and (self.worker_metrics_host, self.worker_metrics_port) == (
            self.host,
            self.port,
        ):
            raise ValueError(
                "DLKD_WORKER_METRICS_PORT must differ from the port of the API (DLKD_PORT)."
            )
        return self


def format_errors(error: ValidationError) -> str:
    """Describe invalid settings by name, without their values, which may be secret."""
    lines = ["Invalid settings:"]
    for entry in error.errors():
        names = [f"{_PREFIX}{str(part).upper()}:" for part in entry["loc"]]
        lines.append(" ".join([*names, entry["msg"].removeprefix("Value error, ")]))
    return "\n".join(lines)
