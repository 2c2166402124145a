"""The manifests: against Kubernetes' own schemas, and against what the program really takes and serves."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from fastapi import FastAPI

from api.app import create_app
from registry.db import Database
from registry.settings import Settings
from registry.store import Store
from registry.testing import MemoryQueue

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "docker" / "k8s").glob("*.yaml"))
VERSIONS = ("1.32", kubernetes_validate.latest_version().rpartition(".")[0])
SETTINGS = {f"DLKD_{name.upper()}" for name in Settings.model_fields}

MANIFESTS: list[dict[str, Any]] = [manifest for file in FILES for manifest in yaml.safe_load_all(file.read_text())]
PODS = {
    manifest["metadata"]["name"]: manifest["spec"]["template"]
    for manifest in MANIFESTS
    if manifest["kind"] in {"Deployment", "Job"}
}


def name_of(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


def container(pod: str) -> dict[str, Any]:
    (only,) = PODS[pod]["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def probes(pod: str) -> Iterator[dict[str, Any]]:
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        if name in container(pod):
            yield container(pod)[name]


def config() -> dict[str, str]:
    (found,) = (manifest["data"] for manifest in MANIFESTS if manifest["kind"] == "ConfigMap")
    return dict(found)


def secrets() -> set[str]:
    """What the comment tells people to put into the secret."""
    return set(re.findall(r"--from-literal=(\w+)=", (ROOT / "docker" / "k8s" / "config.yaml").read_text()))


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    settings = Settings(data=tmp_path)
    database = Database(settings.database_url)
    yield create_app(settings, database, MemoryQueue(), Store(settings.store_url))
    database.close()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=name_of)
def test_each_manifest_fits_the_schema(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_no_manifest_names_a_namespace_or_holds_a_secret() -> None:
    assert not [manifest for manifest in MANIFESTS if "namespace" in manifest["metadata"] or manifest["kind"] == "Secret"]


def test_every_part_is_there() -> None:
    assert set(PODS) == {"dlkd-api", "dlkd-migrate", "dlkd-worker-cpu", "dlkd-worker-h100", "dlkd-worker-l4"}
    budgets = {manifest["metadata"]["name"] for manifest in MANIFESTS if manifest["kind"] == "PodDisruptionBudget"}
    assert budgets == set(PODS) - {"dlkd-migrate"}


@pytest.mark.parametrize("pod", sorted(PODS))
def test_pods_may_do_little_and_write_only_to_scratch(pod: str) -> None:
    spec, only = PODS[pod]["spec"], container(pod)
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, 10001)
    assert only["securityContext"]["readOnlyRootFilesystem"] is True
    assert only["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert {mount["name"]: mount["mountPath"] for mount in only["volumeMounts"]} == {"data": "/data", "tmp": "/tmp"}  # noqa: S108
    assert all("emptyDir" in volume for volume in spec["volumes"])
    assert spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize("pod", sorted(PODS))
def test_names_in_the_environment_are_real(pod: str) -> None:
    given = [*config(), *secrets(), *(entry["name"] for entry in container(pod).get("env", []))]
    assert {name for name in given if name.startswith("DLKD_")} <= SETTINGS
    assert [next(iter(source.values()))["name"] for source in container(pod)["envFrom"]] == ["dlkd", "dlkd"]
    assert PODS[pod]["spec"]["enableServiceLinks"] is False  # a service dlkd-api would set DLKD_API_PORT, which is no setting


def test_the_settings_fit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {**config(), "DLKD_METRICS_TOKEN": 16 * "x"}.items():
        monkeypatch.setenv(name, value)
    assert {"DLKD_DATABASE_URL", "DLKD_BROKER_URL", "DLKD_METRICS_TOKEN", "AWS_SECRET_ACCESS_KEY"} <= secrets()
    assert Settings().metrics == "token"


def test_images_are_those_of_the_dockerfiles_with_a_version() -> None:
    built = {f"dlkd-{file.stem}" for file in (ROOT / "docker").glob("*.Dockerfile")}
    for pod in PODS:
        name, _, tag = container(pod)["image"].partition(":")
        assert name in built
        assert re.fullmatch(r"\d+\.\d+\.\d+", tag)


def test_the_api_is_probed_where_it_answers_under_a_name_that_it_knows(app: FastAPI) -> None:
    paths = {getattr(route, "path", "") for route in app.routes} | set(app.openapi()["paths"])
    found = list(probes("dlkd-api"))
    assert len(found) == 3
    for probe in found:
        asked = probe["httpGet"]
        assert asked["path"] in paths
        assert asked["httpHeaders"] == [{"name": "Host", "value": "localhost"}]
        assert "localhost" in config()["DLKD_ALLOWED_HOSTS"].split(",")
    assert [entry["containerPort"] for entry in container("dlkd-api")["ports"]] == [Settings(data=Path("/data")).port]


@pytest.mark.parametrize("pod", [pod for pod in PODS if "worker" in pod])
def test_workers_have_time_to_drain_and_their_metrics_are_probed(pod: str) -> None:
    assert PODS[pod]["spec"]["terminationGracePeriodSeconds"] >= 2 * float(config()["DLKD_STOP_SECONDS"])
    (port,) = re.findall(r"DLKD_WORKER_METRICS_PORT=(\d+)", (ROOT / "docker" / "worker.Dockerfile").read_text())
    assert [entry["containerPort"] for entry in container(pod)["ports"]] == [int(port)]
    assert {probe["httpGet"]["port"] for probe in probes(pod)} == {"metrics"}


@pytest.mark.parametrize("pod", ["dlkd-worker-h100", "dlkd-worker-l4"])
def test_a_gpu_worker_has_as_many_gpus_as_slots(pod: str) -> None:
    slots = {entry["name"]: entry["value"] for entry in container(pod)["env"]}["DLKD_SLOTS"]
    assert container(pod)["resources"]["limits"]["nvidia.com/gpu"] == slots
    assert "nvidia.com/gpu.product" in PODS[pod]["spec"]["nodeSelector"]


def test_selectors_select_their_own_pods() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in PODS.items()}
    for manifest in MANIFESTS:
        spec = manifest.get("spec", {})
        selector = spec.get("selector", {})
        wanted = selector.get("matchLabels", selector)
        if wanted:
            assert [name for name, own in labels.items() if wanted.items() <= own.items()] == [manifest["metadata"]["name"]]


def test_the_schemas_know_a_wrong_manifest() -> None:
    wrong = {**MANIFESTS[-1], "spec": {**MANIFESTS[-1]["spec"], "maxUnavailible": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)
