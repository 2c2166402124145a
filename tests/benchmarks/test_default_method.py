"""The benchmark of the default method with short training runs: tuning, testing and resuming."""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import default_method
from benchmarks.default_method import CELLS, Benchmark, BenchmarkCell, print_plan
from benchmarks.rival_settings import METHODS, Setting
from dlkd_core.errors import SpecError
from tests.dlkd_core.run_helpers import train_stripes_teacher

SETTINGS = {
    "dlkd_auto": [Setting({"name": "dlkd_auto"})],
    "plain": [
        Setting({"name": "plain"}, rate_factor=0.5),
        Setting({"name": "plain"}, training={"mixup": 0.2}),
    ],
}


@pytest.fixture
def arguments(stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Namespace:
    teacher = train_stripes_teacher(stripes, tmp_path / "teacher", "resnet14")
    cell = BenchmarkCell(
        data=stripes.name,
        test=stripes.name,
        teacher=teacher.name,
        student="resnet8",
        epochs=1,
        options={"training": {"batch_size": 16}},
    )
    monkeypatch.setitem(CELLS, "stripes", cell)
    monkeypatch.setattr(default_method, "METHODS", SETTINGS)
    return Namespace(
        data=stripes.parent,
        teachers=teacher.parent,
        cells=["stripes"],
        methods=list(SETTINGS),
        seeds=2,
        group_size=12,
        out=tmp_path / "out",
        results=tmp_path / "results",
    )


def test_rivals_are_tuned_on_held_out_images_and_a_second_call_trains_nothing(
    arguments: Namespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Benchmark(arguments).run_cell("stripes")
    table = capsys.readouterr().out.partition("\n###")[2]
    results = json.loads((arguments.results / "stripes.json").read_text())
    tuned = {key for key in results if key.startswith("tuning/")}
    assert tuned == {f"tuning/plain/{index}/1000" for index in (0, 1)}
    assert len(results) == len(tuned) + 2 * 2  # two methods with two seeds
    best = max((0, 1), key=lambda index: results[f"tuning/plain/{index}/1000"]["top1"])
    assert f"test/plain/{best}/0" in results
    assert "| plain | " in table
    assert "±" in table

    monkeypatch.setattr(
        default_method, "train_side_by_side", lambda _runs: pytest.fail("trained again")
    )
    Benchmark(arguments).run_cell("stripes")
    assert capsys.readouterr().out.partition("\n###")[2] == table

    stored = Benchmark(arguments)
    stored.load_results("stripes")
    stored.print_table("stripes")
    assert capsys.readouterr().out.partition("\n###")[2] == table


def test_a_method_that_does_not_support_the_networks_is_recorded_and_not_trained(
    arguments: Namespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def reject(*_args: object, **_kwargs: object) -> None:
        raise SpecError("no feature maps")

    monkeypatch.setattr(default_method, "build_training_run", reject)
    Benchmark(arguments).run_cell("stripes")
    results = json.loads((arguments.results / "stripes.json").read_text())
    assert {entry["error"] for entry in results.values()} == {"no feature maps"}
    assert "| plain" not in capsys.readouterr().out


def test_plan_lists_every_cell_and_each_method_has_at_most_six_settings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_plan(Namespace(cells=list(CELLS), methods=list(METHODS), seeds=6))
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(CELLS)
    assert max(len(choices) for choices in METHODS.values()) <= 6
    assert METHODS["dlkd_auto"] == [Setting({"name": "dlkd_auto"})]  # the default is not tuned
