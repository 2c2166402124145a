"""Tables of the catalog's architectures, exporters, dataset formats and evaluation protocols."""

from collections import Counter
from functools import cache
from inspect import getdoc

from dlkd_core.catalog import ARCHITECTURES, EVALUATIONS, EXPORTERS
from dlkd_core.catalog.architectures.cifar_architectures import CIFAR_ARCHITECTURES
from dlkd_core.catalog.architectures.timm_architectures import TIMM_MODEL_INFO
from dlkd_core.catalog.dataset_formats import DATASET_FORMATS
from docs.generators.markdown_tables import markdown_table

_MAX_FAMILIES = 12  # number of timm families that are listed by name
_IMAGE_SIZE, _NUM_CLASSES = 32, 100


def exporter_table() -> str:
    """Return the table of export formats."""
    return markdown_table(
        ("`export`", "file", "description"),
        ((f"`{entry.name}`", f"`{entry.file}`", entry.summary) for entry in EXPORTERS.values()),
    )


def dataset_format_table() -> str:
    """Return the table of supported dataset formats."""
    return markdown_table(
        ("format", "description"),
        ((entry.name.replace("_", " "), entry.summary) for entry in DATASET_FORMATS.values()),
    )


def evaluation_table() -> str:
    """Return the table of protocols that evaluate a student's features."""
    rows = (
        (f"`{name}`", (getdoc(protocol) or "").partition("\n")[0], f"<{protocol.source}>")
        for name, protocol in EVALUATIONS.items()
    )
    return markdown_table(("`evaluation`", "description", "source"), rows)


@cache
def cifar_architecture_table() -> str:
    """Return the table of the DLKD paper's networks with parameter counts, MACs and file sizes.

    The networks are built and measured when the site is built, for 100 classes and images of
    32 x 32 pixels.
    """
    import torch  # noqa: PLC0415 - slow to import, and only this table needs it

    from dlkd_core.evaluation.model_measurements import count_macs  # noqa: PLC0415
    from dlkd_core.models import build_network  # noqa: PLC0415
    from dlkd_core.models.network import count_parameters  # noqa: PLC0415

    rows = []
    for entry in CIFAR_ARCHITECTURES:
        if entry.name == "wrn":  # has no fixed size
            continue
        with torch.device("meta"):
            network = build_network(entry.name, _NUM_CLASSES)
            image = torch.empty(1, 3, _IMAGE_SIZE, _IMAGE_SIZE)
        parameters = count_parameters(network.module)
        macs = count_macs(network.module.eval(), image) or 0
        cells = (
            f"`{entry.name}`",
            entry.family.replace("_", " "),
            f"{parameters:,}",
            f"{macs / 1e6:,.1f}",
            f"{parameters * 4 / 2**20:.1f}",
        )
        rows.append((parameters, cells))
    columns = ("`architecture`", "family", "parameters", "million MACs", "MiB in float32")
    return markdown_table(columns, (cells for _, cells in sorted(rows)))


def other_architectures() -> str:
    """Return a list, as text, of the torchvision networks and the largest timm families."""
    names = sorted(entry.name for entry in ARCHITECTURES.values() if entry.family == "torchvision")
    families = Counter(
        name.removeprefix("timm/").split("_")[0].split(".")[0] for name in TIMM_MODEL_INFO
    )
    largest = ", ".join(f"{name} ({count})" for name, count in families.most_common(_MAX_FAMILIES))
    return (
        f"**torchvision**, {len(names)} networks: {', '.join(f'`{name}`' for name in names)}.\n\n"
        f"**timm**, {len(TIMM_MODEL_INFO):,} networks as `timm/<name>`. "
        f"The largest families are {largest}."
    )
