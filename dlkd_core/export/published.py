"""What is exported is what was measured: a file that disagrees with the student is not published."""

from collections.abc import Iterator, Sequence
from hashlib import file_digest
from pathlib import Path

from torch import Tensor

from dlkd_core.catalog import EXPORTERS
from dlkd_core.data.packed import Split
from dlkd_core.errors import ExportDisagrees
from dlkd_core.evaluation import latency_ms, logits_of
from dlkd_core.evaluation.accuracy import score_logits
from dlkd_core.events import FileExported
from dlkd_core.export.student import Student
from dlkd_core.resolve import resolve


def publish(student: Student, formats: Sequence[str], split: Split, directory: Path) -> Iterator[FileExported]:
    """Writes the student in each format, loads it back, runs it on the evaluation split and times it.

    Raises:
        ExportDisagrees: the file's logits differ from the student's beyond the format's tolerance.
    """
    split = Split(split.images.cpu(), split.labels.cpu())
    expected = logits_of(student.deployable(), split.images)
    for name in formats:
        entry = EXPORTERS[name]
        exporter = resolve(entry.target)()
        path = directory / entry.file
        exporter.write(student, path)
        forward = exporter.load(path)
        logits = logits_of(forward, split.images)
        _compare(logits, expected, exporter.tolerance, entry.file)
        yield FileExported(
            name=entry.file,
            format=name,
            path=str(path),
            size=path.stat().st_size,
            sha256=sha256(path),
            top1=score_logits(logits, split.labels).top1,
            latency_ms=latency_ms(forward, split.images[:1].float() / 255),
        )


def sha256(path: Path) -> str:
    """The file's digest, in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _compare(logits: Tensor, expected: Tensor, tolerance: float, name: str) -> None:
    difference = (logits - expected).abs().max().item()
    allowed = tolerance * max(1.0, expected.abs().max().item())
    if not difference <= allowed:  # also when it is no number
        raise ExportDisagrees(f"{name} differs from the student by {difference:.2g} in a logit; {allowed:.2g} is allowed.")
