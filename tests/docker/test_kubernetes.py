"""Tests that the Kubernetes manifests match the Kubernetes schemas and the application."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from fastapi import FastAPI

from api.app import create_app
from registry.db.database import Database
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue

ROOT = Path(__file__).resolve().parents[2]
MANIFEST_FILES = sorted((ROOT / "docker" / "k8s").glob("*.yaml"))
KUBERNETES_VERSIONS = ("1.32", kubernetes_validate.latest_version().rpartition(".")[0])
SETTING_NAMES = {f"DLKD_{name.upper()}" for name in Settings.model_fields}

MANIFESTS: list[dict[str, Any]] = [
    manifest for file in MANIFEST_FILES for manifest in yaml.safe_load_all(file.read_text())
]
POD_TEMPLATES = {
    manifest["metadata"]["name"]: manifest["spec"]["template"]
    for manifest in MANIFESTS
    if manifest["kind"] in {"Deployment", "Job"}
}


def manifest_id(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


def container_of(pod: str) -> dict[str, Any]:
    containers: list[dict[str, Any]] = POD_TEMPLATES[pod]["spec"]["containers"]
    (container,) = containers
    return container


def probes(pod: str) -> Iterator[dict[str, Any]]:
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        if name in container_of(pod):
            yield container_of(pod)[name]


def config_map() -> dict[str, str]:
    (data,) = (manifest["data"] for manifest in MANIFESTS if manifest["kind"] == "ConfigMap")
    return dict(data)


def secret_names() -> set[str]:
    """Return the keys of the Kubernetes secret, read from the command in config.yaml."""
    return set(
        re.findall(r"--from-literal=(\w+)=", (ROOT / "docker" / "k8s" / "config.yaml").read_text())
    )


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    settings = Settings(data=tmp_path)
    database = Database(settings.database_url)
    yield create_app(settings, database, InMemoryJobQueue(), Store(settings.store_url))
    database.close()


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=manifest_id)
def test_each_manifest_matches_the_schema(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_no_manifest_names_a_namespace_or_holds_a_secret() -> None:
    assert not [
        manifest
        for manifest in MANIFESTS
        if "namespace" in manifest["metadata"] or manifest["kind"] == "Secret"
    ]


def test_all_manifests_are_present() -> None:
    assert set(POD_TEMPLATES) == {
        "dlkd-api",
        "dlkd-migrate",
        "dlkd-worker-cpu",
        "dlkd-worker-h100",
        "dlkd-worker-l4",
    }
    budgets = {
        manifest["metadata"]["name"]
        for manifest in MANIFESTS
        if manifest["kind"] == "PodDisruptionBudget"
    }
    assert budgets == set(POD_TEMPLATES) - {"dlkd-migrate"}


@pytest.mark.parametrize("pod", sorted(POD_TEMPLATES))
def test_pods_are_locked_down_and_write_only_to_scratch(pod: str) -> None:
    spec, container = POD_TEMPLATES[pod]["spec"], container_of(pod)
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (
        True,
        10001,
    )
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == {
        "data": "/data",
        "tmp": "/tmp",  # noqa: S108 - a mount path
    }
    assert all("emptyDir" in volume for volume in spec["volumes"])
    assert spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize("pod", sorted(POD_TEMPLATES))
def test_environment_names_are_real_settings(pod: str) -> None:
    names = [
        *config_map(),
        *secret_names(),
        *(entry["name"] for entry in container_of(pod).get("env", [])),
    ]
    assert {name for name in names if name.startswith("DLKD_")} <= SETTING_NAMES
    assert [next(iter(source.values()))["name"] for source in container_of(pod)["envFrom"]] == [
        "dlkd",
        "dlkd",
    ]
    # Service links would set DLKD_API_PORT, and the application rejects unknown settings.
    assert POD_TEMPLATES[pod]["spec"]["enableServiceLinks"] is False


def test_the_config_map_holds_valid_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {**config_map(), "DLKD_METRICS_TOKEN": 16 * "x"}.items():
        monkeypatch.setenv(name, value)
    assert {
        "DLKD_DATABASE_URL",
        "DLKD_BROKER_URL",
        "DLKD_METRICS_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
    } <= secret_names()
    assert Settings().metrics == "token"


def test_images_are_built_by_a_dockerfile_and_have_a_version() -> None:
    image_names = {f"dlkd-{file.stem}" for file in (ROOT / "docker").glob("*.Dockerfile")}
    for pod in POD_TEMPLATES:
        name, _, tag = container_of(pod)["image"].partition(":")
        assert name in image_names
        assert re.fullmatch(r"\d+\.\d+\.\d+", tag)


def test_the_api_is_probed_at_existing_paths_with_an_allowed_host(app: FastAPI) -> None:
    paths = {getattr(route, "path", "") for route in app.routes} | set(app.openapi()["paths"])
    api_probes = list(probes("dlkd-api"))
    assert len(api_probes) == 3
    for probe in api_probes:
        request = probe["httpGet"]
        assert request["path"] in paths
        assert request["httpHeaders"] == [{"name": "Host", "value": "localhost"}]
        assert "localhost" in config_map()["DLKD_ALLOWED_HOSTS"].split(",")
    assert [entry["containerPort"] for entry in container_of("dlkd-api")["ports"]] == [
        Settings(data=Path("/data")).port
    ]


@pytest.mark.parametrize("pod", [pod for pod in POD_TEMPLATES if "worker" in pod])
def test_workers_have_time_to_drain_and_their_metrics_are_probed(pod: str) -> None:
    assert POD_TEMPLATES[pod]["spec"]["terminationGracePeriodSeconds"] >= 2 * float(
        config_map()["DLKD_STOP_SECONDS"]
    )
    (port,) = re.findall(
        r"DLKD_WORKER_METRICS_PORT=(\d+)", (ROOT / "docker" / "worker.Dockerfile").read_text()
    )
    assert [entry["containerPort"] for entry in container_of(pod)["ports"]] == [int(port)]
    assert {probe["httpGet"]["port"] for probe in probes(pod)} == {"metrics"}


@pytest.mark.parametrize("pod", ["dlkd-worker-h100", "dlkd-worker-l4"])
def test_a_gpu_worker_has_as_many_gpus_as_slots(pod: str) -> None:
    slots = {entry["name"]: entry["value"] for entry in container_of(pod)["env"]}["DLKD_SLOTS"]
    assert container_of(pod)["resources"]["limits"]["nvidia.com/gpu"] == slots
    assert "nvidia.com/gpu.product" in POD_TEMPLATES[pod]["spec"]["nodeSelector"]


def test_selectors_select_their_own_pods() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in POD_TEMPLATES.items()}
    for manifest in MANIFESTS:
        spec = manifest.get("spec", {})
        selector = spec.get("selector", {})
        required = selector.get("matchLabels", selector)
        if required:
            selected = [name for name, pod in labels.items() if required.items() <= pod.items()]
            assert selected == [manifest["metadata"]["name"]]


def test_schema_validation_rejects_an_invalid_manifest() -> None:
    invalid = {**MANIFESTS[-1], "spec": {**MANIFESTS[-1]["spec"], "maxUnavailible": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(invalid, KUBERNETES_VERSIONS[-1], strict=True)
