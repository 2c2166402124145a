"""A spec from YAML, JSON and the command line."""

import json
from pathlib import Path

import pytest

from tests.api.conftest import FakeWorker
from tests.dlkd_client.runner import answer, dlkd


def test_a_spec_may_be_yaml_and_be_changed(dataset: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(f"""
student: {{architecture: resnet8}}
dataset: {{id: {dataset}}}  # the pets
training:
  epochs: 2
""")
    job = answer("submit", "spec.yaml", "--set", "training.epochs=3", "--set", "labels.team=vision", "--set", "name=mine")
    assert (job["spec"]["training"]["epochs"], job["labels"], job["name"]) == (3, {"team": "vision"}, "mine")
    again = answer("clone", job["id"], "--set", "training.epochs=4")
    assert again["spec"]["training"]["epochs"] == 4


def test_a_plan_tells_what_would_become_of_it(spec: str) -> None:
    planned = dlkd("submit", "-", "--plan", stdin=spec)
    assert (planned.exit_code, json.loads(planned.stdout)["valid"]) == (0, True)
    refused = dlkd("submit", "-", "--plan", "--set", "dataset.id=dataset_none", stdin=spec)
    assert (refused.exit_code, json.loads(refused.stdout)["problems"][0]["pointer"]) == (1, "/dataset/id")
    assert dlkd("list", "--json").stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("{", [], "neither YAML nor JSON"),
        ("- 1", [], "holds no object"),
        ("{}", ["--set", "epochs"], "write path=value"),
        ("{name: x}", ["--set", "name.first=1"], "name is no object"),
        ("{}", ["--set", "name={"], "is not YAML"),
        ("{student: {architecture: resnet21}}", [], "/student/architecture: "),
    ],
)
@pytest.mark.usefixtures("connected")
def test_what_is_wrong_with_a_spec_is_said_in_words(text: str, options: list[str], said: str) -> None:
    result = dlkd("submit", "-", *options, stdin=text)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


def test_watching_can_draw_and_can_answer(spec: str, worker: FakeWorker) -> None:
    job = dlkd("submit", "-", stdin=spec).stdout.strip()
    worker.train(worker.claim("train"))
    drawn = dlkd("watch", job, "--curves")
    assert drawn.exit_code == 0
    assert all(word in drawn.stderr for word in ("accuracy", "val/top1", "1.00"))
    assert answer("watch", job)["status"] == "succeeded"


def test_controls_answer_for_programs(spec: str, worker: FakeWorker) -> None:
    job = answer("submit", "-", stdin=spec)["id"]
    states = [answer(word, job)["status"] for word in ("pause", "resume", "cancel", "retry")]
    assert states == ["paused", "queued", "cancelled", "queued"]
    worker.claim("train")
    assert [one["number"] for one in answer("attempts", job)] == [1]
    assert dlkd("logs", job, "--json").stdout == ""
