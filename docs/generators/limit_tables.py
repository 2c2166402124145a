"""Tables of the limits on uploads, from the classes that define them."""

import re
from dataclasses import fields

from dlkd_core.data.read_options import DEFAULT_LIMITS, DatasetLimits
from dlkd_core.teachers.reading.checkpoint_limits import CHECKPOINT_LIMITS, CheckpointLimits
from docs.generators.markdown_tables import markdown_table

_BYTES_UNITS = ((30, "GiB"), (20, "MiB"))


def upload_limits(kind: str) -> str:
    """Return the table of the limits on a "dataset" or a "checkpoint"."""
    limits: DatasetLimits | CheckpointLimits = (
        DEFAULT_LIMITS if kind == "dataset" else CHECKPOINT_LIMITS
    )
    rows = [
        (f"`{name}`", description, _format(name, getattr(limits, name)))
        for name, description in _describe_fields(limits.__doc__ or "").items()
        if name in {field.name for field in fields(limits)} and getattr(limits, name) is not None
    ]
    return markdown_table(("limit", "on the", "value"), rows)


def _describe_fields(docstring: str) -> dict[str, str]:
    """Return the descriptions in the section "Args" of a docstring, by name."""
    section = docstring.partition("Args:\n")[2]
    entries = re.findall(r"^ {8}(\w+): (.+(?:\n {12}.+)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()).rstrip(".") for name, text in entries}


def _format(name: str, value: float) -> str:
    if name.endswith("bytes"):
        return next(f"{int(value) >> bits} {unit}" for bits, unit in _BYTES_UNITS if value >> bits)
    return f"{value:,}"
