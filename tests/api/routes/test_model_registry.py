"""The model registry: versions, aliases, tags, comparison, lineage and deletion."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from registry.settings import Settings
from tests.api.fake_worker import FakeWorker, list_stored_files


class ModelRegistry:
    """Creates models and aliases through a client."""

    def __init__(self, client: TestClient, worker: FakeWorker, spec: dict[str, Any]) -> None:
        self.client, self.worker, self.spec = client, worker, spec

    def create_model(self, **options: Any) -> str:
        response = self.client.post("/v1/jobs", json=self.spec | options)
        assert response.status_code == 201, response.text
        return self.worker.finish_training(self.worker.claim("train"), repr(options).encode())

    def set_alias(self, name: str, alias: str, model: str) -> Any:
        return self.client.put(f"/v1/registry/{name}/aliases/{alias}", json={"model": model})


@pytest.fixture
def model_registry(client: TestClient, worker: FakeWorker, spec: dict[str, Any]) -> ModelRegistry:
    return ModelRegistry(client, worker, spec)


def test_an_alias_is_accepted_wherever_a_model_is(model_registry: ModelRegistry) -> None:
    first, second = (model_registry.create_model(model_name="pets") for _ in range(2))
    assert model_registry.set_alias("pets", "champion", "pets@1").json() == {
        "name": "pets",
        "alias": "champion",
        "model_id": first,
        "previous": None,
    }
    assert model_registry.set_alias("pets", "champion", second).json()["previous"] == first
    for path in ("", "/lineage"):
        assert model_registry.client.get(f"/v1/models/pets@champion{path}").status_code == 200
    body = model_registry.client.get("/v1/models/pets@champion").json()
    assert (body["id"], body["name"], body["version"], body["aliases"]) == (
        second,
        "pets",
        2,
        ["champion"],
    )
    assert (
        model_registry.client.get("/v1/models/pets@champion/files/student.onnx").status_code == 200
    )
    assert model_registry.client.get("/v1/models/pets@nobody").status_code == 404
    listed = model_registry.client.get("/v1/registry").json()["items"]
    assert listed == [model_registry.client.get("/v1/registry/pets").json()]
    assert (listed[0]["versions"], listed[0]["latest"], listed[0]["aliases"]) == (
        2,
        second,
        {"champion": second},
    )
    assert model_registry.client.delete("/v1/registry/pets/aliases/champion").status_code == 204
    assert model_registry.client.get("/v1/models/pets@champion").status_code == 404


@pytest.mark.parametrize("alias", ["latest", "3", "Champion", "a b"])
def test_an_ambiguous_alias_is_rejected(model_registry: ModelRegistry, alias: str) -> None:
    model_registry.create_model(model_name="pets")
    response = model_registry.set_alias("pets", alias, "pets@1")
    assert (response.status_code, response.json()["code"]) == (422, "request_invalid")


def test_an_alias_cannot_point_at_another_name(model_registry: ModelRegistry) -> None:
    model_registry.create_model(model_name="pets")
    other = model_registry.create_model(model_name="cars")
    response = model_registry.set_alias("pets", "champion", other)
    assert (response.status_code, response.json()["code"]) == (422, "alias_elsewhere")
    assert response.json()["errors"][0]["pointer"] == "/model"


def test_notes_and_tags_change_and_the_name_does_not(model_registry: ModelRegistry) -> None:
    model = model_registry.create_model(model_name="pets")
    changed = model_registry.client.patch(
        f"/v1/models/{model}", json={"notes": "for the entrance camera", "tags": ["b", "a"]}
    ).json()
    assert (changed["notes"], changed["tags"]) == ("for the entrance camera", ["a", "b"])
    assert model_registry.client.patch(f"/v1/models/{model}", json={"notes": ""}).json()[
        "tags"
    ] == ["a", "b"]
    assert [
        item["id"]
        for item in model_registry.client.get("/v1/models?tag=a&tag=b&name=pets").json()["items"]
    ] == [model]
    assert model_registry.client.get("/v1/models?tag=c").json()["items"] == []
    assert model_registry.client.get("/v1/models?nam=pets").status_code == 422
    assert (
        model_registry.client.patch(f"/v1/models/{model}", json={"name": "cars"}).status_code == 422
    )


def test_models_are_compared_with_the_first_and_with_their_teachers(
    model_registry: ModelRegistry,
) -> None:
    first, second = (
        model_registry.create_model(model_name="pets"),
        model_registry.create_model(model_name="pets"),
    )
    body = model_registry.client.get(f"/v1/models/compare?ids={second},pets@1").json()
    assert [model["id"] for model in body["models"]] == [second, first]
    assert body["models"][1]["against_first"]["top1"] == 1.0
    assert body["models"][1]["against_teacher"]["top1"] == pytest.approx(0.5 / 0.75)
    assert body["models"][1]["files"][0]["latency_ratio"] == 1.0


@pytest.mark.parametrize("ids", ["", "pets@1", ",".join(["pets@1"] * 21)])
def test_a_comparison_of_one_or_too_many_models_is_rejected(
    model_registry: ModelRegistry, ids: str
) -> None:
    model_registry.create_model(model_name="pets")
    response = model_registry.client.get("/v1/models/compare", params={"ids": ids})
    assert (response.status_code, response.json()["code"]) == (422, "comparison_size")
    assert response.json()["errors"][0]["parameter"] == "ids"


def test_a_deleted_model_is_gone_with_its_files(
    model_registry: ModelRegistry, settings: Settings
) -> None:
    model = model_registry.create_model(model_name="pets")
    model_registry.set_alias("pets", "champion", model)
    before = len(list_stored_files(settings))
    response = model_registry.client.delete(f"/v1/models/{model}")
    assert (response.status_code, response.json()["code"]) == (409, "model_aliased")
    assert model_registry.client.delete(f"/v1/models/{model}?force=true").status_code == 204
    assert len(list_stored_files(settings)) == before - 1
    assert model_registry.client.get(f"/v1/models/{model}").status_code == 404


def test_the_lineage_leads_back_to_the_data_set(
    model_registry: ModelRegistry, dataset: str
) -> None:
    model = model_registry.create_model(model_name="pets")
    body = model_registry.client.get(f"/v1/models/{model}/lineage").json()
    job = model_registry.client.get(f"/v1/models/{model}").json()["job_id"]
    assert {node["id"]: node["kind"] for node in body["nodes"]} == {
        model: "model",
        job: "job",
        dataset: "dataset",
    }
    assert body["edges"] == [
        {"source": job, "target": model, "relation": "made"},
        {"source": dataset, "target": job, "relation": "trained"},
    ]
    assert [
        item["id"]
        for item in model_registry.client.get(f"/v1/models?dataset={dataset}").json()["items"]
    ] == [model]
