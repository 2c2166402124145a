"""What is exported is what was measured: a file that disagrees with the student is not published."""

from collections.abc import Iterator, Sequence
from hashlib import file_digest
from pathlib import Path

from dlkd_core.catalog import EXPORTERS
from dlkd_core.errors import ExportDisagrees
from dlkd_core.evaluation import latency_ms, logits_of
from dlkd_core.evaluation.accuracy import score_logits
from dlkd_core.events import FileExported
from dlkd_core.export.work import Work
from dlkd_core.resolve import resolve


def publish(work: Work, formats: Sequence[str], directory: Path) -> Iterator[FileExported]:
    """Writes the student in each format, loads it back, runs it on the evaluation split and times it.

    Raises:
        ExportDisagrees: the file is further from the student than its format allows.
    """
    labels, image = work.labels, work.val.images[:1].float() / 255
    for name in sorted(formats, key=list(EXPORTERS).index):  # the bundle, which holds the others, stands last there
        entry = EXPORTERS[name]
        exporter = resolve(entry.target)()
        path = directory / entry.file
        exporter.write(work, path)
        forward = exporter.load(path)
        logits = logits_of(forward, work.val.images)
        broken = exporter.agreement.broken(logits, work.expected, labels)
        if broken:
            raise ExportDisagrees(f"{entry.file} is not the student: it {broken}.")
        file = FileExported(
            name=entry.file,
            format=name,
            path=str(path),
            size=path.stat().st_size,
            sha256=sha256(path),
            top1=score_logits(logits, labels).top1 if (labels >= 0).all() else None,
            latency_ms=latency_ms(forward, image),
        )
        work.made.append(file)
        yield file


def sha256(path: Path) -> str:
    """The file's digest, in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
