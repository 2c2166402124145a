"""Job specs from YAML files, JSON files and command-line overrides."""

import json
from pathlib import Path

import pytest

from tests.api.fake_worker import FakeWorker
from tests.dlkd_client.cli_runner import run_dlkd, run_dlkd_json


def test_a_yaml_spec_is_overridden_on_the_command_line(dataset: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(f"""
student: {{architecture: resnet8}}
dataset: {{id: {dataset}}}  # the pets
training:
  epochs: 2
""")
    job = run_dlkd_json(
        "submit",
        "spec.yaml",
        "--set",
        "training.epochs=3",
        "--set",
        "labels.team=vision",
        "--set",
        "name=mine",
    )
    assert (job["spec"]["training"]["epochs"], job["labels"], job["name"]) == (
        3,
        {"team": "vision"},
        "mine",
    )
    again = run_dlkd_json("clone", job["id"], "--set", "training.epochs=4")
    assert again["spec"]["training"]["epochs"] == 4


def test_a_plan_validates_without_submitting(spec: str) -> None:
    planned = run_dlkd("submit", "-", "--plan", stdin=spec)
    assert (planned.exit_code, json.loads(planned.stdout)["valid"]) == (0, True)
    refused = run_dlkd("submit", "-", "--plan", "--set", "dataset.id=dataset_none", stdin=spec)
    assert (refused.exit_code, json.loads(refused.stdout)["problems"][0]["pointer"]) == (
        1,
        "/dataset/id",
    )
    assert run_dlkd("list", "--json").stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("{", [], "neither YAML nor JSON"),
        ("- 1", [], "must hold an object"),
        ("{}", ["--set", "epochs"], "use path=value"),
        ("{name: x}", ["--set", "name.first=1"], "name is not an object"),
        ("{}", ["--set", "name={"], "is not YAML"),
        ("{student: {architecture: resnet21}}", [], "/student/architecture: "),
    ],
)
@pytest.mark.usefixtures("service_environment")
def test_invalid_specs_are_refused_with_a_readable_message(
    text: str, options: list[str], message: str
) -> None:
    result = run_dlkd("submit", "-", *options, stdin=text)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr


def test_watch_draws_curves_and_prints_json(spec: str, worker: FakeWorker) -> None:
    job = run_dlkd("submit", "-", stdin=spec).stdout.strip()
    worker.finish_training(worker.claim("train"))
    drawn = run_dlkd("watch", job, "--curves")
    assert drawn.exit_code == 0
    assert all(text in drawn.stderr for text in ("accuracy", "val/top1", "1.00"))
    assert run_dlkd_json("watch", job)["status"] == "succeeded"


def test_control_commands_print_json(spec: str, worker: FakeWorker) -> None:
    job = run_dlkd_json("submit", "-", stdin=spec)["id"]
    states = [
        run_dlkd_json(command, job)["status"] for command in ("pause", "resume", "cancel", "retry")
    ]
    assert states == ["paused", "queued", "cancelled", "queued"]
    worker.claim("train")
    assert [attempt["number"] for attempt in run_dlkd_json("attempts", job)] == [1]
    assert run_dlkd("logs", job, "--json").stdout == ""
