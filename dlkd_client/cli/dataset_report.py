"""Prints the report about a dataset's health."""

from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from dlkd_client.cli.terminal import console
from dlkd_client.responses import DatasetReport, Finding, LabelErrors

_MAX_NAMES = 3
_MAX_LABEL_ERRORS = 10


def print_dataset_report(report: DatasetReport, classes: Sequence[str]) -> None:
    """Print the report as text and tables. `classes` are the class names in index order."""
    for line in (*_describe_classes(report, classes), *_describe_files(report.files)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(_build_findings_table(report.findings))
    if report.label_errors is not None:
        _print_label_errors(report.label_errors, classes)


def _describe_classes(report: DatasetReport, classes: Sequence[str]) -> list[str]:
    lines = []
    for split, balance in report.splits.items():
        line = f"{split}: {balance['images']:,} images"
        largest, smallest = balance["largest_class"], balance["smallest_class"]
        if balance["imbalance"] == 1:
            line += f", {largest['images']:,} per class"
        elif largest and smallest:
            line += (
                f", from {smallest['images']:,} ({classes[smallest['label']]})"
                f" to {largest['images']:,} ({classes[largest['label']]}) per class"
            )
        lines.append(line)
    if report.test_duplicates is not None:
        lines.append(f"test images in other splits: {report.test_duplicates:,}")
    if report.majority_top1 is not None:
        lines.append(f"majority class: {report.majority_top1:.2%} of the evaluation images")
    for pair in report.similar_classes:
        first, second = (repr(classes[label]) for label in pair["classes"])
        lines.append(f"similar classes: {first} and {second} ({pair['difference']})")
    return lines


def _describe_files(files: dict[str, Any]) -> list[str]:
    width, height = files["width"], files["height"]
    sizes = ", ".join(
        f"{size['width']} x {size['height']} ({size['images']:,})" for size in files["sizes"]
    )
    formats = ", ".join(
        f"{entry['channels']} x {entry['bits']} bits ({entry['images']:,})"
        for entry in files["formats"]
    )
    return [
        f"width: {width['min']} to {width['max']}, median {width['median']:g}",
        f"height: {height['min']} to {height['max']}, median {height['median']:g}",
        f"common sizes: {sizes}",
        f"channels: {formats}",
    ]


def _build_findings_table(findings: Sequence[Finding]) -> Table:
    table = Table("finding", box=None)
    for heading in ("train", "val", "in both", "label conflicts"):
        table.add_column(heading, justify="right")
    table.add_column("examples", overflow="fold")
    for finding in findings:
        names = [example["name"] for example in finding.examples]
        more = len(names) - _MAX_NAMES
        counts = (finding.train, finding.val, finding.across_splits, finding.label_conflicts)
        table.add_row(
            finding.kind.replace("_", " "),
            *("" if count is None else f"{count:,}" for count in counts),
            escape(", ".join(names[:_MAX_NAMES]) + (" …" if more > 0 else "")),
        )
    return table


def _print_label_errors(found: LabelErrors, classes: Sequence[str]) -> None:
    console.print(
        f"possible label errors: {found.count:,} of {found.images:,} evaluation images,"
        f" according to the teacher of {found.model_id}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    table = Table("image", "label", "p", "suggested label", "p", box=None)
    for error in found.examples[:_MAX_LABEL_ERRORS]:
        table.add_row(
            escape(error["name"] or f"val[{error['index']}]"),
            escape(classes[error["label"]]),
            f"{error['confidence']:.2g}",
            escape(classes[error["suggested_label"]]),
            f"{error['suggested_confidence']:.2g}",
        )
    console.print(table)
