"""The paper's table on a budget of seconds: run, drawn, and not run again."""

from argparse import Namespace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import table
from benchmarks.cells import Cells
from benchmarks.paper import Table, _parsed
from benchmarks.table import Cell


@pytest.fixture(scope="module")
def teacher(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    training = {"epochs": 4, "batch_size": 16, "learning_rate": 0.1, "flip": False}
    spec = {"student": {"architecture": "resnet8"}, "dataset": {"path": stripes}, "training": training}
    weights: Path = Cells(tmp_path_factory.mktemp("teacher")).result(**spec)["weights"]
    return weights


def test_ours_stand_beside_the_published_numbers_and_a_second_call_runs_nothing(
    stripes: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"data": stripes, "val": None, "pairs": "resnet56/resnet20", "methods": "plain,kd", "seeds": 2, "epochs": 1}
    table_of = Namespace(**given, teachers={"resnet56": teacher}, out=tmp_path / "out")
    Table(table_of).show()
    first = capsys.readouterr().out
    lines = first.splitlines()
    assert lines[0] == "| | resnet56 → resnet20 | RepDistiller | SSKD |"
    assert lines[2].startswith("| plain | **")
    assert "±" in lines[3]
    assert lines[3].endswith(" | 70.66 | 70.66 |")  # KD of the two publications

    monkeypatch.setattr("benchmarks.cells.run", lambda *_args, **_kwargs: pytest.fail("a finished cell was run again"))
    Table(table_of).show()
    assert capsys.readouterr().out == first
    assert ET.parse(tmp_path / "out" / "table.svg").getroot().tag.endswith("svg")  # noqa: S314  # our own file


def test_the_drawing_names_methods_and_pairs_and_is_the_same_each_time(tmp_path: Path) -> None:
    cells = [
        Cell("vgg13/vgg8", "plain", [70.0, 70.5], {"SSKD": 70.68}),
        Cell("vgg13/vgg8", "dlkd", [74.0, 74.4], {}),
        Cell("resnet56/resnet20", "dlkd", [71.0, 71.9], {"SSKD": 71.49}),
    ]
    for name in ("one.svg", "two.svg"):
        table.draw(cells, {"vgg13/vgg8": 75.38}, tmp_path / name)
    one, two = ((tmp_path / name).read_bytes() for name in ("one.svg", "two.svg"))
    assert one == two
    table.draw(cells, {}, tmp_path / "table.png")
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")


def test_a_row_has_the_spread_of_several_seeds_and_none_of_one() -> None:
    sources = {"a/b": ("SSKD",)}
    assert table.row("kd", [Cell("a/b", "kd", [70.0, 72.0], {"SSKD": 71.0})], sources) == "| kd | **71.00** ± 1.41 | 71.00 |"
    assert table.row("kd", [Cell("a/b", "kd", [70.0])], sources) == "| kd | **70.00** |  |"


def test_a_methods_parameters_follow_its_name() -> None:
    told = _parsed("dlkd:views=single:alignment=5:correlation=0.5")
    assert told == {"name": "dlkd", "views": "single", "alignment": 5.0, "correlation": 0.5}
