"""The compose file, as docker-compose itself reads it."""

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
OURS = {"api", "worker", "worker-gpu"}


def command() -> list[str]:
    """docker-compose, or the plugin of docker."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    plugin = shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin and plugin.returncode == 0:
        return ["docker", "compose"]
    pytest.skip("this machine has neither docker-compose nor docker with its compose plugin")


def config(tmp_path: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    arguments = ["--profile", "gpu", "-f", str(ROOT / "docker-compose.yml"), "--project-directory", str(tmp_path), "config"]
    for dockerfile in (ROOT / "docker").glob("*.Dockerfile"):  # looked for below the project's folder
        (tmp_path / "docker").mkdir(exist_ok=True)
        (tmp_path / "docker" / dockerfile.name).touch()
    return subprocess.run(
        [*command(), *arguments], env={**clean, **environment}, capture_output=True, text=True, check=False, cwd=tmp_path
    )


@pytest.fixture
def services(tmp_path: Path) -> dict[str, Any]:
    read = config(tmp_path, **SECRETS)
    assert read.returncode == 0, read.stderr
    found: dict[str, Any] = yaml.safe_load(read.stdout)["services"]
    return found


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_without_a_secret_it_does_not_start_and_says_which(tmp_path: Path, missing: str) -> None:
    read = config(tmp_path, **{name: value for name, value in SECRETS.items() if name != missing})
    assert read.returncode != 0
    assert missing in read.stderr


def test_it_has_every_part(services: dict[str, Any]) -> None:
    assert set(services) == {"postgres", "redis", "bucket", "s3", "migrate", *OURS}
    for name in ("postgres", "redis", "s3"):
        assert services[name]["healthcheck"]["test"]
    for name in OURS:
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_it_sets_nothing_but_real_settings(services: dict[str, Any]) -> None:
    named = {name for service in services.values() for name in service.get("environment", {}) if name.startswith("DLKD_")}
    assert named <= {f"DLKD_{name.upper()}" for name in Settings.model_fields}
    for service in OURS:
        given = {name.removeprefix("DLKD_").lower(): value for name, value in services[service]["environment"].items()}
        Settings.model_validate({name: value for name, value in given.items() if name in Settings.model_fields})


def test_only_this_machine_reaches_it_unless_it_is_told_otherwise(services: dict[str, Any]) -> None:
    published = [str(port) for service in services.values() for port in service.get("ports", [])]
    assert len(published) == 2
    assert all("127.0.0.1" in port for port in published)


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_may_do_little(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert any(str(volume).startswith("{'type': 'volume'") or ":/data" in str(volume) for volume in service["volumes"])


def test_gpus_are_reserved_by_the_profile_alone(services: dict[str, Any]) -> None:
    (device,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert services["worker-gpu"]["profiles"] == ["gpu"]
    assert "deploy" not in services["worker"]
