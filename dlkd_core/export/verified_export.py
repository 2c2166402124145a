"""Exports a student and verifies the files. A file that deviates too far is not published."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from dlkd_core.catalog import EXPORTERS
from dlkd_core.common import compute_sha256, import_target
from dlkd_core.errors import ExportDisagrees
from dlkd_core.evaluation import measure_median_latency_ms, predict
from dlkd_core.evaluation.accuracy import score_logits
from dlkd_core.events import FileExported
from dlkd_core.export.export_context import ExportContext


def export_all(
    context: ExportContext, formats: Sequence[str], directory: Path
) -> Iterator[FileExported]:
    """Write the student in each format, load each file back and measure it.

    Each file is evaluated and timed on the evaluation split.

    Raises:
        ExportDisagrees: A file deviates from the student by more than its format allows.
    """
    labels, image = context.scored_labels, context.val.images[:1].float() / 255
    # The bundle comes last in the catalog, because it contains the other files.
    for name in sorted(formats, key=list(EXPORTERS).index):
        entry = EXPORTERS[name]
        exporter = import_target(entry.target)()
        path = directory / entry.file
        exporter.write(context, path)
        forward = exporter.load(path)
        logits = predict(forward, context.val.images)
        violation = exporter.tolerance.find_violation(logits, context.student_logits, labels)
        if violation:
            raise ExportDisagrees(f"{entry.file} does not match the student: it {violation}.")
        file = FileExported(
            name=entry.file,
            format=name,
            path=str(path),
            size=path.stat().st_size,
            sha256=compute_sha256(path),
            top1=score_logits(logits, labels).top1 if (labels >= 0).all() else None,
            latency_ms=measure_median_latency_ms(forward, image),
        )
        context.exported_files.append(file)
        yield file
