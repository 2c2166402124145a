"""Models from bundles: taken in where every byte is as the manifest says, refused otherwise with nothing kept."""

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
from registry import bundles, claims, keys
from registry.lifecycle import JobStatus
from registry.settings import Settings
from registry.store import Store
from registry.tables import Job
from registry.testing import MemoryQueue, fresh_database
from registry.upload_errors import BundleInvalid
from registry.uploads import CHECKS
from tests.api.bundles import REPORT, WEIGHTS, File, bundle, members, packed, retold
from tests.api.conftest import FakeWorker
from tests.api.tus import uploaded

Contents = dict[str, bytes]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[TestClient]:
    """Another service, with a database and a store of its own."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    settings = Settings(data=folder, quota_stored_bytes=1_000_000)
    with fresh_database(folder) as database:
        with database.write() as session:
            key = keys.create(session, name="test")[1]
        app = create_app(settings, database, MemoryQueue(), Store(settings.store_url))
        with TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}) as client:
            yield client


def sent(client: TestClient, content: bytes, **fields: str) -> Any:
    return client.post("/v1/models/import", files={"file": ("bundle.zip", content)}, data=fields)


def test_a_model_goes_from_one_service_to_another(
    client: TestClient, elsewhere: TestClient, worker: FakeWorker, spec: dict[str, Any]
) -> None:
    client.post("/v1/jobs", json=spec | {"model_name": "pets"})
    made = client.get(f"/v1/models/{worker.train(worker.claim('train'))}").json()
    assert (made["origin"], made["imported"]) == ("distilled", None)
    carried = client.get(f"/v1/models/{made['id']}/bundle").content
    answer = sent(elsewhere, carried)
    assert answer.status_code == 201, answer.text
    taken = answer.json()
    assert answer.headers["Location"] == f"/v1/models/{taken['id']}"
    same = ("name", "version", "architecture", "options", "parameters", "classes", "normalization", "metrics")
    assert {name: taken[name] for name in same} == {name: made[name] for name in same}
    told = ("name", "format", "size", "sha256", "top1", "latency_ms")
    assert [{name: file[name] for name in told} for file in taken["files"]] == [
        {name: file[name] for name in told} for file in made["files"]
    ]
    for file in taken["files"]:
        assert sha256(elsewhere.get(file["url"]).content).hexdigest() == file["sha256"]
    assert (taken["job_id"], taken["origin"]) == (None, "imported")
    origin = {"sha256": sha256(carried).hexdigest(), "name": "pets", "version": 1}
    checked = ["archive", "manifest", "report", "sha256"]
    trial = {"status": "waiting", "tried": [], "left_out": [], "error": None}
    assert taken["imported"] == {**origin, "checked": checked, "trial": trial}
    card = elsewhere.get(f"/v1/models/{taken['id']}/card", headers={"Accept": "text/markdown"})
    assert "# pets 1" in card.text
    again = zipfile.ZipFile(io.BytesIO(elsewhere.get(f"/v1/models/{taken['id']}/bundle").content))
    assert again.read("student.onnx") == zipfile.ZipFile(io.BytesIO(carried)).read("student.onnx")


def trial(client: TestClient, model: dict[str, Any]) -> Any:
    return client.get(f"/v1/models/{model['id']}").json()["imported"]["trial"]


def test_a_worker_tries_the_files_and_the_model_tells(client: TestClient, worker: FakeWorker, queue: MemoryQueue) -> None:
    good, bad = sent(client, bundle()).json(), sent(client, bundle()).json()
    assert [name for name, _ in queue.sent] == [CHECKS, CHECKS]
    claim = worker.claim(CHECKS)
    (file,) = good["files"]
    told = {"architecture": "resnet8", "options": {}, "parameters": 78_042, "classes": 2, "size": [32, 32]}
    given = {"digest": file["sha256"], "filename": file["name"], "format": file["format"]}
    assert (claim.kind, claim.inputs) == ("check_model", {"report": told, file["name"]: given})
    with worker.database.write() as session:
        claims.enter(session, claim, JobStatus.RUNNING)
        claims.finish_check(session, claim, report={"tried": [file["name"]], "left_out": []})
    worker.refuse({"code": "model_unfit", "message": "No network.", "hint": "Again.", "retryable": False})
    assert trial(client, good) == {"status": "passed", "tried": [file["name"]], "left_out": [], "error": None}
    assert trial(client, bad) | {"error": trial(client, bad)["error"]["code"]} == {
        "status": "failed",
        "tried": [],
        "left_out": [],
        "error": "model_unfit",
    }
    assert client.get(f"/v1/models/{bad['id']}").status_code == 200  # it stays, to be looked at


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_a_model_that_was_deleted_during_its_trial_is_no_fault(client: TestClient, worker: FakeWorker, ends: str) -> None:
    model = sent(client, bundle()).json()
    claim = worker.claim(CHECKS)
    assert client.delete(f"/v1/models/{model['id']}").status_code == 204
    with worker.database.write() as session:
        claims.enter(session, claim, JobStatus.RUNNING)
        if ends == "well":
            claims.finish_check(session, claim, report={"tried": [], "left_out": []})
        else:
            claims.fail(session, claim, error={"code": "model_unfit", "message": "", "hint": "", "retryable": False})
    with worker.database.read() as session:
        assert session.get_one(Job, claim.job_id).status == ("succeeded" if ends == "well" else "failed")


def test_lineage_ends_at_the_bundle_and_tells_of_the_run_behind_it(client: TestClient) -> None:
    model = sent(client, bundle()).json()
    graph = client.get(f"/v1/models/{model['id']}/lineage").json()
    origin = f"import:{sha256(bundle()).hexdigest()}"
    assert graph["edges"] == [{"source": origin, "target": model["id"], "relation": "imported"}]
    facts = {node["id"]: node["facts"] for node in graph["nodes"]}[origin]
    assert (facts["name"], facts["version"], facts["run"], facts["seed"]) == ("pets", 3, "0123", 7)


def test_an_imported_model_is_a_version_like_others_and_can_teach(
    client: TestClient, worker: FakeWorker, spec: dict[str, Any]
) -> None:
    first, second = (sent(client, bundle(), **fields).json() for fields in ({}, {"name": "pets", "notes": "from afar"}))
    assert [(model["name"], model["version"], model["notes"]) for model in (first, second)] == [
        ("pets", 1, ""),
        ("pets", 2, "from afar"),
    ]
    assert sent(client, bundle(), name="cats").json()["name"] == "cats"
    lesson = spec | {"teacher": {"model_id": "pets@2"}, "method": {"name": "kd"}}
    assert client.post("/v1/jobs", json=lesson).status_code == 201
    claim = worker.claim("train")
    assert claim.inputs["teacher"]["digest"] == sha256(WEIGHTS).hexdigest()
    student = worker.train(claim)
    edges = client.get(f"/v1/models/{student}/lineage").json()["edges"]
    assert {edge["relation"] for edge in edges} == {"trained", "taught", "made", "imported"}
    assert client.get(f"/v1/models/compare?ids={second['id']},{student}").status_code == 200
    assert client.delete(f"/v1/models/{first['id']}").status_code == 204


def test_a_bundle_may_have_been_uploaded_before(client: TestClient) -> None:
    upload = uploaded(client, bundle(), filename="bundle.zip")
    answers = [
        client.post("/v1/models/import", json={"upload_id": upload, "name": "pets"}, headers={"Idempotency-Key": "once"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


def without(contents: Contents, name: str) -> Contents:
    return {key: value for key, value in contents.items() if key != name}


def told(report: Any) -> Contents:
    """A bundle whose manifest agrees with a report that is none."""
    contents, text = members(), report if isinstance(report, bytes) else json.dumps(report).encode()
    files = json.loads(contents["manifest.json"])["files"]
    facts = {"size": len(text), "sha256": sha256(text).hexdigest()}
    return retold(
        {**contents, "report.json": text}, files=[{**file, **facts} if file["name"] == "report.json" else file for file in files]
    )


def listed(**changes: Any) -> Contents:
    """A bundle whose manifest tells otherwise of the weights."""
    contents = members()
    files = json.loads(contents["manifest.json"])["files"]
    return retold(contents, files=[*files[:-1], {**files[-1], **changes}])


def metrics(**student: Any) -> dict[str, Any]:
    return {**REPORT, "metrics": {"teacher": None, "student": student}}


WRONG: dict[str, tuple[Callable[[], Contents], str]] = {
    "another byte": (lambda: {**members(), "student.safetensors": b"W" + WEIGHTS[1:]}, "bundle_corrupt"),
    "a byte less": (lambda: {**members(), "student.safetensors": WEIGHTS[1:]}, "bundle_corrupt"),
    "a byte more": (lambda: {**members(), "student.safetensors": WEIGHTS + b"x"}, "bundle_corrupt"),
    "another card": (lambda: {**members(), "README.md": b"# better"}, "bundle_corrupt"),
    "no manifest": (lambda: without(members(), "manifest.json"), "bundle_invalid"),
    "no report": (lambda: retold(without(members(), "report.json"), files=_files_without("report.json")), "bundle_invalid"),
    "a file too few": (lambda: without(members(), "student.safetensors"), "bundle_invalid"),
    "a file too many": (lambda: {**members(), "virus.exe": b"MZ"}, "bundle_invalid"),
    "a path outside": (lambda: {**members(), "../../evil": b"x"}, "bundle_invalid"),
    "a path outside that is told": (lambda: listed(name="../../evil"), "bundle_invalid"),
    "a folder": (lambda: {**members(), "folder/": b""}, "bundle_invalid"),
    "an unknown format": (lambda: listed(format="pickle"), "bundle_invalid"),
    "no model": (
        lambda: retold(without(members(), "student.safetensors"), files=_files_without("student.safetensors")),
        "bundle_invalid",
    ),
    "another kind of bundle": (lambda: retold(members(), format="other/1"), "bundle_invalid"),
    "a manifest that is none": (lambda: {**members(), "manifest.json": b"{"}, "bundle_invalid"),
    "a deep manifest": (lambda: {**members(), "manifest.json": b"[" * 100_000}, "bundle_invalid"),
    "a report that is none": (lambda: told(["x"]), "bundle_invalid"),
    "a report without classes": (lambda: told(without(REPORT, "classes")), "bundle_invalid"),
    "a number that is a word": (lambda: told(metrics(top1="good")), "bundle_invalid"),
    "a number in quotes": (lambda: told(metrics(top1="0.5")), "bundle_invalid"),
    "an accuracy above one": (lambda: told(metrics(top1=7)), "bundle_invalid"),
    "an unknown resize": (lambda: told({**REPORT, "image": {"height": 1, "width": 1, "resize": "x"}}), "bundle_invalid"),
    "options of another kind": (lambda: told({**REPORT, "options": [1]}), "bundle_invalid"),
}


def _files_without(name: str) -> list[Any]:
    return [file for file in json.loads(members()["manifest.json"])["files"] if file["name"] != name]


@pytest.mark.parametrize("what", WRONG)
def test_a_bundle_with_something_wrong_is_refused(client: TestClient, what: str) -> None:
    make, code = WRONG[what]
    answer = sent(client, packed(make()))
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert client.get("/v1/models").json()["items"] == []


def odd(name: str, **facts: int) -> bytes:
    """A sound bundle with a member of another kind."""
    buffer = io.BytesIO(bundle())
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo(name)
        for fact, value in facts.items():
            setattr(info, fact, value)
        archive.writestr(info, b"/etc/passwd")
    return buffer.getvalue()


def test_links_and_names_that_come_twice_are_refused(client: TestClient) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = odd("README.md")
    for content in (odd("link", external_attr=0o120777 << 16), twice):
        answer = sent(client, content)
        assert (answer.status_code, answer.json()["code"]) == (422, "bundle_invalid")


def test_a_bomb_is_refused_before_it_goes_off(client: TestClient, tmp_path: Path) -> None:
    zeros = File("student.onnx", bytes(65 * 2**20), "onnx")
    bomb = packed(members(REPORT, zeros), zipfile.ZIP_DEFLATED)
    answer = sent(client, bomb)
    assert (answer.status_code, answer.json()["code"]) == (422, "bundle_invalid")
    (tmp_path / "bomb.zip").write_bytes(bomb)  # also where the service takes files of any size
    with pytest.raises(BundleInvalid, match="too much"), bundles.opened(tmp_path / "bomb.zip", limit=2**40):
        pass


def test_an_archive_that_is_mostly_directory_is_refused(client: TestClient) -> None:
    """It would be read whole, into objects many times its size."""
    answer = sent(client, packed({f"{number:0200}": b"" for number in range(6000)}))
    assert (answer.status_code, answer.json()["code"]) == (422, "bundle_invalid")
    assert "directory" in answer.json()["detail"]


def test_what_is_no_zip_is_refused(client: TestClient) -> None:
    for content, code in ((b"PK\x03\x04" + bytes(100), "bundle_invalid"), (b"text", "archive_unreadable")):
        answer = sent(client, content)
        assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_a_model_above_the_quota_is_not_taken_in(elsewhere: TestClient) -> None:
    large = File("student.safetensors", bytes(1_000_001), "safetensors")
    answer = sent(elsewhere, packed(members(REPORT, large)))
    assert (answer.status_code, answer.json()["code"]) == (403, "quota_exceeded")
    assert elsewhere.get("/v1/models").json()["items"] == []
