"""Import of models from bundles.

Every file must match its digest in the manifest. The files of a rejected bundle are deleted.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from registry.access import api_keys
from registry.attempts import claims
from registry.db.job_tables import Job
from registry.jobs.lifecycle import JobStatus
from registry.jobs.queue_names import QueueName
from registry.models import bundles
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue, create_test_database
from registry.uploads.upload_errors import BundleInvalid
from tests.api.bundle_builder import (
    REPORT,
    WEIGHTS,
    ExportedFile,
    build_bundle,
    bundle_members,
    with_manifest,
    zip_members,
)
from tests.api.fake_worker import FakeWorker
from tests.api.tus_client import upload_file

Contents = dict[str, bytes]


@pytest.fixture
def other_service(tmp_path: Path) -> Iterator[TestClient]:
    """Return a client of a second service with its own database and store."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    settings = Settings(data=folder, quota_stored_bytes=1_000_000)
    with create_test_database(folder) as database:
        with database.write() as session:
            key = api_keys.create(session, name="test")[1]
        app = create_app(settings, database, InMemoryJobQueue(), Store(settings.store_url))
        with TestClient(
            app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}
        ) as client:
            yield client


def import_bundle(client: TestClient, content: bytes, **fields: str) -> Any:
    return client.post("/v1/models/import", files={"file": ("bundle.zip", content)}, data=fields)


def test_a_model_is_transferred_from_one_service_to_another(
    client: TestClient, other_service: TestClient, worker: FakeWorker, spec: dict[str, Any]
) -> None:
    client.post("/v1/jobs", json=spec | {"model_name": "pets"})
    original = client.get(f"/v1/models/{worker.finish_training(worker.claim('train'))}").json()
    assert (original["origin"], original["imported"]) == ("distilled", None)
    bundle = client.get(f"/v1/models/{original['id']}/bundle").content
    response = import_bundle(other_service, bundle)
    assert response.status_code == 201, response.text
    imported = response.json()
    assert response.headers["Location"] == f"/v1/models/{imported['id']}"
    equal_fields = (
        "name",
        "version",
        "architecture",
        "options",
        "parameters",
        "classes",
        "normalization",
        "metrics",
    )
    assert {name: imported[name] for name in equal_fields} == {
        name: original[name] for name in equal_fields
    }
    file_fields = ("name", "format", "size", "sha256", "top1", "latency_ms")
    assert [{name: file[name] for name in file_fields} for file in imported["files"]] == [
        {name: file[name] for name in file_fields} for file in original["files"]
    ]
    for file in imported["files"]:
        assert sha256(other_service.get(file["url"]).content).hexdigest() == file["sha256"]
    assert (imported["job_id"], imported["origin"]) == (None, "imported")
    bundle_info = {"sha256": sha256(bundle).hexdigest(), "name": "pets", "version": 1}
    checked = ["archive", "manifest", "report", "sha256"]
    import_check = {"status": "waiting", "tried": [], "left_out": [], "error": None}
    assert imported["imported"] == {**bundle_info, "checked": checked, "trial": import_check}
    card = other_service.get(
        f"/v1/models/{imported['id']}/card", headers={"Accept": "text/markdown"}
    )
    assert "# pets 1" in card.text
    exported_again = zipfile.ZipFile(
        io.BytesIO(other_service.get(f"/v1/models/{imported['id']}/bundle").content)
    )
    assert exported_again.read("student.onnx") == zipfile.ZipFile(io.BytesIO(bundle)).read(
        "student.onnx"
    )


def get_import_check(client: TestClient, model: dict[str, Any]) -> Any:
    return client.get(f"/v1/models/{model['id']}").json()["imported"]["trial"]


def test_a_worker_checks_the_files_and_the_model_shows_the_result(
    client: TestClient, worker: FakeWorker, queue: InMemoryJobQueue
) -> None:
    valid, invalid = (import_bundle(client, build_bundle()).json() for _ in range(2))
    assert [name for name, _ in queue.sent] == [QueueName.CHECKS, QueueName.CHECKS]
    claim = worker.claim(QueueName.CHECKS)
    (file,) = valid["files"]
    expected_report = {
        "architecture": "resnet8",
        "options": {},
        "parameters": 78_042,
        "classes": 2,
        "size": [32, 32],
    }
    file_input = {"digest": file["sha256"], "filename": file["name"], "format": file["format"]}
    assert (claim.kind, claim.inputs) == (
        "check_model",
        {"report": expected_report, file["name"]: file_input},
    )
    with worker.database.write() as session:
        claims.advance_status(session, claim, JobStatus.RUNNING)
        claims.finish_check(session, claim, report={"tried": [file["name"]], "left_out": []})
    worker.fail_check(
        {"code": "model_unfit", "message": "No network.", "hint": "Again.", "retryable": False}
    )
    assert get_import_check(client, valid) == {
        "status": "passed",
        "tried": [file["name"]],
        "left_out": [],
        "error": None,
    }
    assert get_import_check(client, invalid) | {
        "error": get_import_check(client, invalid)["error"]["code"]
    } == {
        "status": "failed",
        "tried": [],
        "left_out": [],
        "error": "model_unfit",
    }
    # The model is kept, so that its owner can inspect it.
    assert client.get(f"/v1/models/{invalid['id']}").status_code == 200


@pytest.mark.parametrize("ending", ["succeeded", "failed"])
def test_the_check_of_a_model_that_was_deleted_meanwhile_ends_normally(
    client: TestClient, worker: FakeWorker, ending: str
) -> None:
    model = import_bundle(client, build_bundle()).json()
    claim = worker.claim(QueueName.CHECKS)
    assert client.delete(f"/v1/models/{model['id']}").status_code == 204
    with worker.database.write() as session:
        claims.advance_status(session, claim, JobStatus.RUNNING)
        if ending == "succeeded":
            claims.finish_check(session, claim, report={"tried": [], "left_out": []})
        else:
            claims.fail(
                session,
                claim,
                error={"code": "model_unfit", "message": "", "hint": "", "retryable": False},
            )
    with worker.database.read() as session:
        assert session.get_one(Job, claim.job_id).status == ending


def test_the_lineage_ends_at_the_bundle_and_its_original_run(client: TestClient) -> None:
    model = import_bundle(client, build_bundle()).json()
    graph = client.get(f"/v1/models/{model['id']}/lineage").json()
    bundle_id = f"import:{sha256(build_bundle()).hexdigest()}"
    assert graph["edges"] == [{"source": bundle_id, "target": model["id"], "relation": "imported"}]
    facts = {node["id"]: node["facts"] for node in graph["nodes"]}[bundle_id]
    assert (facts["name"], facts["version"], facts["run"], facts["seed"]) == ("pets", 3, "0123", 7)


def test_an_imported_model_is_a_normal_version_and_can_be_a_teacher(
    client: TestClient, worker: FakeWorker, spec: dict[str, Any]
) -> None:
    first, second = (
        import_bundle(client, build_bundle(), **fields).json()
        for fields in ({}, {"name": "pets", "notes": "from another service"})
    )
    assert [(model["name"], model["version"], model["notes"]) for model in (first, second)] == [
        ("pets", 1, ""),
        ("pets", 2, "from another service"),
    ]
    assert import_bundle(client, build_bundle(), name="cats").json()["name"] == "cats"
    job_request = spec | {"teacher": {"model_id": "pets@2"}, "method": {"name": "kd"}}
    assert client.post("/v1/jobs", json=job_request).status_code == 201
    claim = worker.claim("train")
    assert claim.inputs["teacher"]["digest"] == sha256(WEIGHTS).hexdigest()
    student = worker.finish_training(claim)
    edges = client.get(f"/v1/models/{student}/lineage").json()["edges"]
    assert {edge["relation"] for edge in edges} == {"trained", "taught", "made", "imported"}
    assert client.get(f"/v1/models/compare?ids={second['id']},{student}").status_code == 200
    assert client.delete(f"/v1/models/{first['id']}").status_code == 204


def test_a_bundle_can_be_a_finished_upload(client: TestClient) -> None:
    upload = upload_file(client, build_bundle(), filename="bundle.zip")
    responses = [
        client.post(
            "/v1/models/import",
            json={"upload_id": upload, "name": "pets"},
            headers={"Idempotency-Key": "once"},
        )
        for _ in range(2)
    ]
    assert [response.status_code for response in responses] == [201, 201]
    assert responses[0].json() == responses[1].json()


def remove_member(contents: Contents, name: str) -> Contents:
    return {key: value for key, value in contents.items() if key != name}


def with_report(report: Any) -> Contents:
    """Return the members of a bundle that contains this report.

    The manifest states the size and digest of the report.
    """
    contents = bundle_members()
    report_bytes = report if isinstance(report, bytes) else json.dumps(report).encode()
    files = json.loads(contents["manifest.json"])["files"]
    changes = {"size": len(report_bytes), "sha256": sha256(report_bytes).hexdigest()}
    return with_manifest(
        {**contents, "report.json": report_bytes},
        files=[{**file, **changes} if file["name"] == "report.json" else file for file in files],
    )


def with_weights_entry(**changes: Any) -> Contents:
    """Return the members of a bundle after changing the manifest entry for the weights."""
    contents = bundle_members()
    files = json.loads(contents["manifest.json"])["files"]
    return with_manifest(contents, files=[*files[:-1], {**files[-1], **changes}])


def report_with_baseline(**changes: Any) -> dict[str, Any]:
    baseline = {"top1": 0.4, "images": 9, "gain": 0.1, "gain_interval": 0.2} | changes
    return {**REPORT, "metrics": {**REPORT["metrics"], "baseline": baseline}}


def report_with_metrics(**student: Any) -> dict[str, Any]:
    return {**REPORT, "metrics": {"teacher": None, "student": student}}


INVALID_BUNDLES: dict[str, tuple[Callable[[], Contents], str]] = {
    "changed byte": (
        lambda: {**bundle_members(), "student.safetensors": b"W" + WEIGHTS[1:]},
        "bundle_corrupt",
    ),
    "one byte less": (
        lambda: {**bundle_members(), "student.safetensors": WEIGHTS[1:]},
        "bundle_corrupt",
    ),
    "one byte more": (
        lambda: {**bundle_members(), "student.safetensors": WEIGHTS + b"x"},
        "bundle_corrupt",
    ),
    "changed card": (lambda: {**bundle_members(), "README.md": b"# better"}, "bundle_corrupt"),
    "no manifest": (lambda: remove_member(bundle_members(), "manifest.json"), "bundle_invalid"),
    "no report": (
        lambda: with_manifest(
            remove_member(bundle_members(), "report.json"),
            files=_manifest_files_without("report.json"),
        ),
        "bundle_invalid",
    ),
    "missing file": (
        lambda: remove_member(bundle_members(), "student.safetensors"),
        "bundle_invalid",
    ),
    "extra file": (lambda: {**bundle_members(), "virus.exe": b"MZ"}, "bundle_invalid"),
    "path outside": (lambda: {**bundle_members(), "../../evil": b"x"}, "bundle_invalid"),
    "path outside in the manifest": (
        lambda: with_weights_entry(name="../../evil"),
        "bundle_invalid",
    ),
    "folder": (lambda: {**bundle_members(), "folder/": b""}, "bundle_invalid"),
    "unknown format": (lambda: with_weights_entry(format="pickle"), "bundle_invalid"),
    "no model": (
        lambda: with_manifest(
            remove_member(bundle_members(), "student.safetensors"),
            files=_manifest_files_without("student.safetensors"),
        ),
        "bundle_invalid",
    ),
    "other bundle format": (
        lambda: with_manifest(bundle_members(), format="other/1"),
        "bundle_invalid",
    ),
    "invalid manifest": (
        lambda: {**bundle_members(), "manifest.json": b"{"},
        "bundle_invalid",
    ),
    "deeply nested manifest": (
        lambda: {**bundle_members(), "manifest.json": b"[" * 100_000},
        "bundle_invalid",
    ),
    "invalid report": (lambda: with_report(["x"]), "bundle_invalid"),
    "report without classes": (
        lambda: with_report(remove_member(REPORT, "classes")),
        "bundle_invalid",
    ),
    "text as a number": (
        lambda: with_report(report_with_metrics(top1="good")),
        "bundle_invalid",
    ),
    "number as a string": (lambda: with_report(report_with_metrics(top1="0.5")), "bundle_invalid"),
    "accuracy above one": (lambda: with_report(report_with_metrics(top1=7)), "bundle_invalid"),
    "unknown resize": (
        lambda: with_report({**REPORT, "image": {"height": 1, "width": 1, "resize": "x"}}),
        "bundle_invalid",
    ),
    "gain as a string": (lambda: with_report(report_with_baseline(gain="big")), "bundle_invalid"),
    "baseline without a gain": (
        lambda: with_report(report_with_baseline(gain=None)),
        "bundle_invalid",
    ),
    "warnings that are no list": (
        lambda: with_report({**REPORT, "warnings": "none"}),
        "bundle_invalid",
    ),
    "options of another type": (lambda: with_report({**REPORT, "options": [1]}), "bundle_invalid"),
}


def _manifest_files_without(name: str) -> list[Any]:
    return [
        file
        for file in json.loads(bundle_members()["manifest.json"])["files"]
        if file["name"] != name
    ]


@pytest.mark.parametrize("case", INVALID_BUNDLES)
def test_an_invalid_bundle_is_rejected(client: TestClient, case: str) -> None:
    build, code = INVALID_BUNDLES[case]
    response = import_bundle(client, zip_members(build()))
    assert (response.status_code, response.json()["code"]) == (422, code), response.text
    assert client.get("/v1/models").json()["items"] == []


def bundle_with_odd_member(name: str, **attributes: int) -> bytes:
    """Return a valid bundle with an additional, unusual member."""
    buffer = io.BytesIO(build_bundle())
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo(name)
        for attribute, value in attributes.items():
            setattr(info, attribute, value)
        archive.writestr(info, b"/etc/passwd")
    return buffer.getvalue()


def test_links_and_duplicate_names_are_rejected(client: TestClient) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        duplicate = bundle_with_odd_member("README.md")
    for content in (bundle_with_odd_member("link", external_attr=0o120777 << 16), duplicate):
        response = import_bundle(client, content)
        assert (response.status_code, response.json()["code"]) == (422, "bundle_invalid")


def test_a_zip_bomb_is_rejected_before_it_is_unpacked(client: TestClient, tmp_path: Path) -> None:
    large_file = ExportedFile("student.onnx", bytes(65 * 2**20), "onnx")
    bundle = zip_members(bundle_members(REPORT, large_file), zipfile.ZIP_DEFLATED)
    response = import_bundle(client, bundle)
    assert (response.status_code, response.json()["code"]) == (422, "bundle_invalid")
    (tmp_path / "bomb.zip").write_bytes(bundle)  # with a large limit, too
    with (
        pytest.raises(BundleInvalid, match="more than the limit"),
        bundles.open_bundle(tmp_path / "bomb.zip", max_unpacked_bytes=2**40),
    ):
        pass


def test_an_archive_with_a_huge_directory_is_rejected(client: TestClient) -> None:
    """Parsing such a zip directory would take many times as much memory as the directory itself."""
    response = import_bundle(client, zip_members({f"{number:0200}": b"" for number in range(6000)}))
    assert (response.status_code, response.json()["code"]) == (422, "bundle_invalid")
    assert "directory" in response.json()["detail"]


def test_a_file_that_is_not_a_zip_archive_is_rejected(client: TestClient) -> None:
    for content, code in (
        (b"PK\x03\x04" + bytes(100), "bundle_invalid"),
        (b"text", "archive_unreadable"),
    ):
        response = import_bundle(client, content)
        assert (response.status_code, response.json()["code"]) == (422, code)


def test_a_model_above_the_quota_is_rejected(other_service: TestClient) -> None:
    large_file = ExportedFile("student.safetensors", bytes(1_000_001), "safetensors")
    response = import_bundle(other_service, zip_members(bundle_members(REPORT, large_file)))
    assert (response.status_code, response.json()["code"]) == (403, "quota_exceeded")
    assert other_service.get("/v1/models").json()["items"] == []
