"""Reproduction of the paper's table with short training runs: results, plots and cache."""

from argparse import Namespace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import results_table
from benchmarks.paper_reproduction import PaperTable, parse_method
from benchmarks.results_table import TableCell
from benchmarks.run_cache import RunCache


@pytest.fixture(scope="module")
def teacher(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    training = {"epochs": 4, "batch_size": 16, "learning_rate": 0.1, "flip": False}
    spec = {
        "student": {"architecture": "resnet8"},
        "dataset": {"path": stripes},
        "training": training,
    }
    weights: Path = RunCache(tmp_path_factory.mktemp("teacher")).get_or_run(**spec)["weights"]
    return weights


def test_the_table_lists_published_numbers_and_a_second_call_runs_nothing(
    stripes: Path,
    teacher: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {
        "data": stripes,
        "val": None,
        "pairs": "resnet56/resnet20",
        "methods": "plain,kd",
        "seeds": 2,
        "epochs": 1,
    }
    arguments = Namespace(**options, teachers={"resnet56": teacher}, out=tmp_path / "out")
    PaperTable(arguments).run_and_print()
    first = capsys.readouterr().out
    lines = first.splitlines()
    assert lines[0] == "| | resnet56 → resnet20 | RepDistiller | SSKD |"
    assert lines[2].startswith("| plain | **")
    assert "±" in lines[3]
    assert lines[3].endswith(" | 70.66 | 70.66 |")  # the accuracy of KD in the two publications

    monkeypatch.setattr(
        "benchmarks.run_cache.run",
        lambda *_args, **_kwargs: pytest.fail("a finished cell was run again"),
    )
    PaperTable(arguments).run_and_print()
    assert capsys.readouterr().out == first
    assert ET.parse(tmp_path / "out" / "table.svg").getroot().tag.endswith("svg")  # noqa: S314  # our own file


def test_the_plot_is_reproducible_and_its_suffix_decides_the_format(tmp_path: Path) -> None:
    cells = [
        TableCell("vgg13/vgg8", "plain", [70.0, 70.5], {"SSKD": 70.68}),
        TableCell("vgg13/vgg8", "dlkd", [74.0, 74.4], {}),
        TableCell("resnet56/resnet20", "dlkd", [71.0, 71.9], {"SSKD": 71.49}),
    ]
    for name in ("one.svg", "two.svg"):
        results_table.plot_table(cells, {"vgg13/vgg8": 75.38}, tmp_path / name)
    one, two = ((tmp_path / name).read_bytes() for name in ("one.svg", "two.svg"))
    assert one == two
    results_table.plot_table(cells, {}, tmp_path / "table.png")
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")


def test_a_row_shows_the_spread_for_several_seeds_only() -> None:
    sources = {"a/b": ("SSKD",)}
    assert (
        results_table.format_row(
            "kd", [TableCell("a/b", "kd", [70.0, 72.0], {"SSKD": 71.0})], sources
        )
        == "| kd | **71.00** ± 1.41 | 71.00 |"
    )
    assert (
        results_table.format_row("kd", [TableCell("a/b", "kd", [70.0])], sources)
        == "| kd | **70.00** |  |"
    )


def test_a_methods_parameters_are_parsed_after_its_name() -> None:
    method = parse_method("dlkd:views=single:alignment=5:correlation=0.5")
    assert method == {"name": "dlkd", "views": "single", "alignment": 5.0, "correlation": 0.5}
