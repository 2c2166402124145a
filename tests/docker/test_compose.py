"""Tests of the compose file, as docker-compose renders it."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {"POSTGRES_PASSWORD": "pa55", "S3_SECRET_KEY": "5ecret"}
OWN_SERVICES = {"api", "worker", "worker-gpu"}


def compose_command() -> list[str]:
    """Return the command that runs Compose: `docker-compose`, or the plugin `docker compose`."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    plugin = shutil.which("docker") and subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    )
    if plugin and plugin.returncode == 0:
        return ["docker", "compose"]
    pytest.skip("this machine has neither docker-compose nor docker with its compose plugin")


def render_config(tmp_path: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    arguments = [
        "--profile",
        "gpu",
        "-f",
        str(ROOT / "docker-compose.yml"),
        "--project-directory",
        str(tmp_path),
        "config",
    ]
    # Compose looks for the Dockerfiles in the project folder.
    for dockerfile in (ROOT / "docker").glob("*.Dockerfile"):
        (tmp_path / "docker").mkdir(exist_ok=True)
        (tmp_path / "docker" / dockerfile.name).touch()
    return subprocess.run(
        [*compose_command(), *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )


@pytest.fixture
def services(tmp_path: Path) -> dict[str, Any]:
    rendered = render_config(tmp_path, **SECRETS)
    assert rendered.returncode == 0, rendered.stderr
    loaded: dict[str, Any] = yaml.safe_load(rendered.stdout)["services"]
    return loaded


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_a_missing_secret_is_named_and_nothing_starts(tmp_path: Path, missing: str) -> None:
    rendered = render_config(
        tmp_path, **{name: value for name, value in SECRETS.items() if name != missing}
    )
    assert rendered.returncode != 0
    assert missing in rendered.stderr


def test_all_services_are_defined(services: dict[str, Any]) -> None:
    assert set(services) == {"postgres", "redis", "bucket", "s3", "migrate", *OWN_SERVICES}
    for name in ("postgres", "redis", "s3"):
        assert services[name]["healthcheck"]["test"]
    for name in OWN_SERVICES:
        assert (
            services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        )


def test_environment_names_are_real_settings(services: dict[str, Any]) -> None:
    variables = {
        name
        for service in services.values()
        for name in service.get("environment", {})
        if name.startswith("DLKD_")
    }
    assert variables <= {f"DLKD_{name.upper()}" for name in Settings.model_fields}
    for service in OWN_SERVICES:
        environment = {
            name.removeprefix("DLKD_").lower(): value
            for name, value in services[service]["environment"].items()
        }
        Settings.model_validate(
            {name: value for name, value in environment.items() if name in Settings.model_fields}
        )


def test_ports_are_published_on_localhost_by_default(services: dict[str, Any]) -> None:
    published = [str(port) for service in services.values() for port in service.get("ports", [])]
    assert len(published) == 2
    assert all("127.0.0.1" in port for port in published)


@pytest.mark.parametrize("name", sorted(OWN_SERVICES))
def test_own_containers_are_locked_down(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert any(
        str(volume).startswith("{'type': 'volume'") or ":/data" in str(volume)
        for volume in service["volumes"]
    )


def test_only_the_gpu_profile_reserves_gpus(services: dict[str, Any]) -> None:
    (device,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert services["worker-gpu"]["profiles"] == ["gpu"]
    assert "deploy" not in services["worker"]
