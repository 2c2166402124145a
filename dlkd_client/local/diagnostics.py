"""The checks of `dlkd doctor`."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from dlkd_client.cli.connection_settings import DEFAULT_DATA_DIR, resolve_service
from dlkd_client.client import Client
from dlkd_client.errors import ClientError, ProblemError

if TYPE_CHECKING:
    from registry.settings import Settings

_EXTRAS = {
    "client": ("httpx", "pydantic", "typer"),
    "api": ("fastapi", "sqlalchemy", "alembic", "uvicorn"),
    "worker": ("celery", "torch", "onnxruntime", "timm"),
}
_GIB = 2**30


class CheckState(StrEnum):
    """The severity of a check's result."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class CheckResult:
    """The result of one check. `hint` explains how to fix a problem."""

    name: str
    state: CheckState
    message: str
    hint: str = ""


def check_python() -> CheckResult:
    """Report the Python version."""
    return CheckResult("python", CheckState.OK, f"{platform.python_version()} at {sys.executable}")


def check_packages() -> Iterator[CheckResult]:
    """Check whether the packages of each extra, such as `api`, are installed."""
    for extra, names in _EXTRAS.items():
        versions = {name: _installed_version(name) for name in names}
        missing = [name for name, number in versions.items() if number is None]
        message = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
        if missing:
            hint = f"Install dlkd[{extra}] to run this part here. Missing: {', '.join(missing)}."
            message = message or "not installed"
            yield CheckResult(f"packages: {extra}", CheckState.WARN, message, hint)
        else:
            yield CheckResult(f"packages: {extra}", CheckState.OK, message)


def _installed_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_device() -> CheckResult:
    """Check that torch can compute on the device that training would use."""
    try:
        import torch

        from dlkd_core.device import describe_device, pick_device
    except ImportError as error:
        return CheckResult(
            "device", CheckState.WARN, str(error), "Install dlkd[core] to train here."
        )
    try:
        device = pick_device()
        torch.ones(64, 64, device=device).matmul(torch.ones(64, 64, device=device)).sum().item()
    except RuntimeError as error:
        return CheckResult(
            "device",
            CheckState.FAIL,
            str(error),
            "The driver does not match this torch. `nvidia-smi` shows the driver's CUDA version.",
        )
    if device.type == "cpu" and Path("/dev/nvidia0").exists():
        hint = "Install a driver that supports torch's CUDA version, or a torch for the driver."
        message = f"a GPU is present, but torch {torch.__version__} cannot use it"
        return CheckResult("device", CheckState.WARN, message, hint)
    return CheckResult("device", CheckState.OK, describe_device(device))


def check_onnxruntime() -> CheckResult:
    """Check whether onnxruntime, which runs exported students, is installed."""
    try:
        import onnxruntime
    except ImportError as error:
        return CheckResult(
            "onnxruntime",
            CheckState.WARN,
            str(error),
            "Install onnxruntime to run exported students here.",
        )
    return CheckResult(
        "onnxruntime",
        CheckState.OK,
        f"{onnxruntime.__version__}, {', '.join(onnxruntime.get_available_providers())}",
    )


def check_disk(data: Path) -> CheckResult:
    """Check the free disk space for uploads, checkpoints and models."""
    candidates = (data.absolute(), *data.absolute().parents)
    folder = next(folder for folder in candidates if folder.exists())
    free = shutil.disk_usage(folder).free
    message = f"{free / _GIB:.1f} GiB free at {folder}"
    if not os.access(folder, os.W_OK):
        hint = "Choose another folder with --data."
        return CheckResult("disk", CheckState.FAIL, f"{folder} is not writable", hint)
    if free < _GIB:
        hint = "Free some space, or choose another folder with --data."
        return CheckResult("disk", CheckState.FAIL, message, hint)
    if free < 10 * _GIB:
        return CheckResult("disk", CheckState.WARN, message, "Large datasets may need more.")
    return CheckResult("disk", CheckState.OK, message)


def check_service(url: str | None, key: str | None, data: Path) -> CheckResult:
    """Check that the service responds, accepts the key and is ready."""
    address = resolve_service(url, key, data)
    if address is None:
        return CheckResult(
            "service",
            CheckState.WARN,
            "no service found",
            f"Start one (dlkd up --data {data}) or log in to one (dlkd login URL).",
        )
    try:
        with Client(*address, timeout=5, retries=0) as client:
            me = client.me()
            ready = client.http.get("/readyz")
    except ProblemError as error:
        return CheckResult(
            "service",
            CheckState.FAIL,
            f"{address[0]}: {error.message}",
            error.hint or "Ask the operator of the service for a key.",
        )
    except (ClientError, httpx.HTTPError, httpx.InvalidURL) as error:
        return CheckResult(
            "service",
            CheckState.FAIL,
            str(error),
            "Check the address and that the service is running.",
        )
    message = f"{address[0]} accepts the key of {me['name']} ({me['role']})"
    if ready.is_error:
        return CheckResult(
            "service",
            CheckState.FAIL,
            f"{message}, but is not ready: {ready.json()['detail']}",
            "Contact the operator of the service.",
        )
    if ready.json()["status"] != "ready":
        failing = {name: text for name, text in ready.json()["checks"].items() if text != "ok"}
        return CheckResult(
            "service",
            CheckState.WARN,
            f"{message}, but is degraded: {failing}",
            "Jobs still run, but start later.",
        )
    return CheckResult("service", CheckState.OK, message)


def check_settings(data: Path) -> Iterator[CheckResult]:
    """Check the database, broker and store that this machine's DLKD_... settings select."""
    try:
        from registry.settings import Settings, format_errors
    except ImportError:
        return  # only the client is installed
    from pydantic import ValidationError

    try:
        settings = Settings() if data == DEFAULT_DATA_DIR else Settings(data=data)
    except ValidationError as error:
        yield CheckResult(
            "settings",
            CheckState.FAIL,
            format_errors(error),
            "docs/operating.md and .env.example explain each setting.",
        )
        return
    if settings.database_url.startswith("sqlite") and not (settings.data / "dlkd.db").exists():
        yield CheckResult("settings", CheckState.OK, f"no service has used {settings.data} yet")
        return
    yield from _check_backends(settings)


def _check_backends(settings: "Settings") -> Iterator[CheckResult]:
    from api.observability.probes import OK, ProbeRunner
    from registry.db.database import make_engine
    from registry.db.schema_migrations import check_revision
    from registry.jobs.job_queue import CeleryJobQueue
    from registry.storage.object_store import Store

    engine = make_engine(settings.database_url)
    checks: dict[str, Callable[[], None]] = {
        "database": lambda: check_revision(engine),
        "broker": CeleryJobQueue(settings).check,
        "store": Store(settings.store_url).check,
    }
    hints = {
        "database": (
            "Start the database, correct DLKD_DATABASE_URL, or upgrade the schema: dlkd db upgrade."
        ),
        "broker": "Start the broker or correct DLKD_BROKER_URL. Until then, jobs start later.",
        "store": "Start the store or correct DLKD_STORE_URL and its credentials.",
    }
    severity = {
        "database": CheckState.FAIL,
        "broker": CheckState.WARN,
        "store": CheckState.FAIL,
    }
    for name, message in ProbeRunner(checks, 10).run_all().items():
        yield (
            CheckResult(name, CheckState.OK, _backend_url(settings, name))
            if message == OK
            else CheckResult(name, severity[name], message, hints[name])
        )
    engine.dispose()


def _backend_url(settings: "Settings", name: str) -> str:
    from registry.observability.logging_setup import mask_secrets

    return mask_secrets(str(getattr(settings, f"{name}_url")))
