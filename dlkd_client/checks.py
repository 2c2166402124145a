"""What `dlkd doctor` looks at. Each check says how it is, and what to do where it is not well."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import httpx

from dlkd_client.client import Client
from dlkd_client.connect import DEFAULT_DATA, find
from dlkd_client.errors import ClientError, ProblemError

if TYPE_CHECKING:
    from registry.settings import Settings

State = Literal["ok", "warn", "fail"]
_EXTRAS = {
    "client": ("httpx", "pydantic", "typer"),
    "api": ("fastapi", "sqlalchemy", "alembic", "uvicorn"),
    "worker": ("celery", "torch", "onnxruntime", "timm"),
}
_GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """How one part is; `hint` says what to do about it."""

    name: str
    state: State
    told: str
    hint: str = ""


def python() -> Finding:
    """The interpreter."""
    return Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")


def packages() -> Iterator[Finding]:
    """What is installed of each extra."""
    for extra, names in _EXTRAS.items():
        found = {name: _version(name) for name in names}
        missing = [name for name, number in found.items() if number is None]
        told = ", ".join(f"{name} {number}" for name, number in found.items() if number)
        if missing:
            hint = f"Install dlkd[{extra}] to run that part here: {', '.join(missing)} missing."
            yield Finding(f"packages: {extra}", "warn", told or "not installed", hint)
        else:
            yield Finding(f"packages: {extra}", "ok", told)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def device() -> Finding:
    """Where torch would train, and that it can compute there."""
    try:
        import torch

        from dlkd_core.device import describe, pick_device
    except ImportError as error:
        return Finding("device", "warn", str(error), "Install dlkd[core] to train here.")
    try:
        place = pick_device()
        torch.ones(64, 64, device=place).matmul(torch.ones(64, 64, device=place)).sum().item()
    except RuntimeError as error:
        return Finding(
            "device", "fail", str(error), "The driver and this torch do not fit; `nvidia-smi` tells the driver's CUDA."
        )
    if place.type == "cpu" and Path("/dev/nvidia0").exists():
        hint = "Install a driver for this torch's CUDA, or a torch for the driver's."
        return Finding("device", "warn", f"a GPU is here, but torch {torch.__version__} cannot use it", hint)
    return Finding("device", "ok", describe(place))


def onnx() -> Finding:
    """What runs exported students."""
    try:
        import onnxruntime
    except ImportError as error:
        return Finding("onnxruntime", "warn", str(error), "Install onnxruntime to run exported students here.")
    return Finding("onnxruntime", "ok", f"{onnxruntime.__version__}, {', '.join(onnxruntime.get_available_providers())}")


def disk(data: Path) -> Finding:
    """Room for uploads, checkpoints and models."""
    place = next(folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    told = f"{free / _GIB:.1f} GiB free at {place}"
    if not os.access(place, os.W_OK):
        return Finding("disk", "fail", f"{place} cannot be written to", "Name another folder with --data.")
    if free < _GIB:
        return Finding("disk", "fail", told, "Free some, or name another folder with --data.")
    return Finding("disk", "ok" if free > 10 * _GIB else "warn", told, "" if free > 10 * _GIB else "Data sets may need more.")


def service(url: str | None, key: str | None, data: Path) -> Finding:
    """That the service answers, takes the key, and is ready."""
    found = find(url, key, data)
    if found is None:
        return Finding("service", "warn", "none known", f"Start one (dlkd up --data {data}) or log in to one (dlkd login URL).")
    try:
        with Client(*found, timeout=5, retries=0) as client:
            me = client.me()
            ready = client.http.get("/readyz")
    except ProblemError as error:
        return Finding("service", "fail", f"{found[0]}: {error.message}", error.hint or "Ask its operator for a key.")
    except (ClientError, httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding("service", "fail", str(error), "Check the address, and that the service is up.")
    told = f"{found[0]} takes the key of {me['name']} ({me['role']})"
    if ready.is_error:
        return Finding("service", "fail", f"{told}, but is not ready: {ready.json()['detail']}", "Tell its operator.")
    if ready.json()["status"] != "ready":
        ailing = {name: words for name, words in ready.json()["checks"].items() if words != "ok"}
        return Finding("service", "warn", f"{told}, but is degraded: {ailing}", "Jobs are served all the same, later.")
    return Finding("service", "ok", told)


def settings(data: Path) -> Iterator[Finding]:
    """The database, broker and store of the DLKD_... settings, where there are any on this machine."""
    try:
        from registry.settings import Settings, words
    except ImportError:
        return  # a client alone
    from pydantic import ValidationError

    try:
        found = Settings() if data == DEFAULT_DATA else Settings(data=data)
    except ValidationError as error:
        yield Finding("settings", "fail", words(error), "docs/operating.md and .env.example explain each.")
        return
    if found.database_url.startswith("sqlite") and not (found.data / "dlkd.db").exists():
        yield Finding("settings", "ok", f"no service has run on {found.data} yet")
        return
    yield from _parts(found)


def _parts(found: "Settings") -> Iterator[Finding]:
    from api.probes import OK, Probes
    from registry.db import check_head, make_engine
    from registry.queue import CeleryQueue
    from registry.store import Store

    engine = make_engine(found.database_url)
    checks: dict[str, Callable[[], None]] = {
        "database": lambda: check_head(engine),
        "broker": CeleryQueue(found).check,
        "store": Store(found.store_url).check,
    }
    hints = {
        "database": "Start it, correct DLKD_DATABASE_URL, or bring it to this version: dlkd db upgrade.",
        "broker": "Start it or correct DLKD_BROKER_URL; until then jobs start later.",
        "store": "Start it or correct DLKD_STORE_URL and its credentials.",
    }
    bad: dict[str, State] = {"database": "fail", "broker": "warn", "store": "fail"}
    for name, told in Probes(checks, 10).outcomes().items():
        yield Finding(name, "ok", _where(found, name)) if told == OK else Finding(name, bad[name], told, hints[name])
    engine.dispose()


def _where(found: "Settings", name: str) -> str:
    from registry.logbook import masked

    return masked(str(getattr(found, f"{name}_url")))
