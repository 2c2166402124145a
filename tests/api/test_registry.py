"""Models under their names: versions, aliases, tags, comparison, lineage, deletion."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from registry.settings import Settings
from tests.api.conftest import FakeWorker, files_in


class Shelf:
    """A client, and what it registers."""

    def __init__(self, client: TestClient, worker: FakeWorker, spec: dict[str, Any]) -> None:
        self.client, self.worker, self.spec = client, worker, spec

    def made(self, **options: Any) -> str:
        answer = self.client.post("/v1/jobs", json=self.spec | options)
        assert answer.status_code == 201, answer.text
        return self.worker.train(self.worker.claim("train"), repr(options).encode())

    def point(self, name: str, alias: str, model: str) -> Any:
        return self.client.put(f"/v1/registry/{name}/aliases/{alias}", json={"model": model})


@pytest.fixture
def shelf(client: TestClient, worker: FakeWorker, spec: dict[str, Any]) -> Shelf:
    return Shelf(client, worker, spec)


def test_an_alias_resolves_wherever_a_model_is_named(shelf: Shelf) -> None:
    first, second = (shelf.made(model_name="pets") for _ in range(2))
    assert shelf.point("pets", "champion", "pets@1").json() == {
        "name": "pets",
        "alias": "champion",
        "model_id": first,
        "previous": None,
    }
    assert shelf.point("pets", "champion", second).json()["previous"] == first
    for path in ("", "/lineage"):
        assert shelf.client.get(f"/v1/models/pets@champion{path}").status_code == 200
    found = shelf.client.get("/v1/models/pets@champion").json()
    assert (found["id"], found["name"], found["version"], found["aliases"]) == (second, "pets", 2, ["champion"])
    assert shelf.client.get("/v1/models/pets@champion/files/student.onnx").status_code == 200
    assert shelf.client.get("/v1/models/pets@nobody").status_code == 404
    listed = shelf.client.get("/v1/registry").json()["items"]
    assert listed == [shelf.client.get("/v1/registry/pets").json()]
    assert (listed[0]["versions"], listed[0]["latest"], listed[0]["aliases"]) == (2, second, {"champion": second})
    assert shelf.client.delete("/v1/registry/pets/aliases/champion").status_code == 204
    assert shelf.client.get("/v1/models/pets@champion").status_code == 404


@pytest.mark.parametrize("alias", ["latest", "3", "Champion", "a b"])
def test_an_alias_that_could_be_taken_for_something_else_is_refused(shelf: Shelf, alias: str) -> None:
    shelf.made(model_name="pets")
    answer = shelf.point("pets", alias, "pets@1")
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")


def test_an_alias_stays_within_its_name(shelf: Shelf) -> None:
    shelf.made(model_name="pets")
    other = shelf.made(model_name="cars")
    answer = shelf.point("pets", "champion", other)
    assert (answer.status_code, answer.json()["code"]) == (422, "alias_elsewhere")
    assert answer.json()["errors"][0]["pointer"] == "/model"


def test_notes_and_tags_change_and_the_name_does_not(shelf: Shelf) -> None:
    model = shelf.made(model_name="pets")
    changed = shelf.client.patch(f"/v1/models/{model}", json={"notes": "for the door", "tags": ["b", "a"]}).json()
    assert (changed["notes"], changed["tags"]) == ("for the door", ["a", "b"])
    assert shelf.client.patch(f"/v1/models/{model}", json={"notes": ""}).json()["tags"] == ["a", "b"]
    assert [item["id"] for item in shelf.client.get("/v1/models?tag=a&tag=b&name=pets").json()["items"]] == [model]
    assert shelf.client.get("/v1/models?tag=c").json()["items"] == []
    assert shelf.client.get("/v1/models?nam=pets").status_code == 422
    assert shelf.client.patch(f"/v1/models/{model}", json={"name": "cars"}).status_code == 422


def test_models_are_compared_with_the_first_and_with_their_teachers(shelf: Shelf) -> None:
    first, second = shelf.made(model_name="pets"), shelf.made(model_name="pets")
    found = shelf.client.get(f"/v1/models/compare?ids={second},pets@1").json()
    assert [one["id"] for one in found["models"]] == [second, first]
    assert found["models"][1]["against_first"]["top1"] == 1.0
    assert found["models"][1]["against_teacher"]["top1"] == pytest.approx(0.5 / 0.75)
    assert found["models"][1]["files"][0]["latency_ratio"] == 1.0


@pytest.mark.parametrize("ids", ["", "pets@1", ",".join(["pets@1"] * 21)])
def test_one_model_or_very_many_are_no_comparison(shelf: Shelf, ids: str) -> None:
    shelf.made(model_name="pets")
    answer = shelf.client.get("/v1/models/compare", params={"ids": ids})
    assert (answer.status_code, answer.json()["code"]) == (422, "comparison_size")
    assert answer.json()["errors"][0]["parameter"] == "ids"


def test_a_deleted_model_takes_its_files_with_it(shelf: Shelf, settings: Settings) -> None:
    model = shelf.made(model_name="pets")
    shelf.point("pets", "champion", model)
    before = len(files_in(settings))
    answer = shelf.client.delete(f"/v1/models/{model}")
    assert (answer.status_code, answer.json()["code"]) == (409, "model_aliased")
    assert shelf.client.delete(f"/v1/models/{model}?force=true").status_code == 204
    assert len(files_in(settings)) == before - 1
    assert shelf.client.get(f"/v1/models/{model}").status_code == 404


def test_the_lineage_leads_back_to_the_images(shelf: Shelf, dataset: str) -> None:
    model = shelf.made(model_name="pets")
    found = shelf.client.get(f"/v1/models/{model}/lineage").json()
    job = shelf.client.get(f"/v1/models/{model}").json()["job_id"]
    assert {node["id"]: node["kind"] for node in found["nodes"]} == {model: "model", job: "job", dataset: "dataset"}
    assert found["edges"] == [
        {"source": job, "target": model, "relation": "made"},
        {"source": dataset, "target": job, "relation": "trained"},
    ]
    assert [item["id"] for item in shelf.client.get(f"/v1/models?dataset={dataset}").json()["items"]] == [model]
