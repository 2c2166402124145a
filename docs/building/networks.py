"""The students: the networks of the paper's tables, measured when the site is built, and the names of the others."""

from collections import Counter
from functools import cache

from dlkd_core.catalog import ARCHITECTURES
from dlkd_core.catalog.paper import PAPER
from dlkd_core.catalog.timm_names import TIMM_NAMES
from docs.building import tables

_SMALLEST = 12  # families of timm that have a row of their own
_SIDE, _CLASSES = 32, 100


@cache
def table() -> str:
    """Parameters, features and multiplications of the 22 networks, for 100 classes and images of 32 x 32 pixels."""
    import torch  # noqa: PLC0415 - it takes seconds, and only this table needs it

    from dlkd_core.evaluation.cost import macs, parameters  # noqa: PLC0415
    from dlkd_core.models import build  # noqa: PLC0415

    rows = []
    for entry in PAPER:
        if entry.name == "wrn":  # of any size
            continue
        with torch.device("meta"):
            network = build(entry.name, _CLASSES)
            image = torch.empty(1, 3, _SIDE, _SIDE)
        size, cost = parameters(network.module), macs(network.module.eval(), image) or 0
        rows.append(
            (
                size,
                (f"`{entry.name}`", entry.family.replace("_", " "), f"{size:,}", f"{cost / 1e6:,.1f}", f"{size * 4 / 2**20:.1f}"),
            )
        )
    columns = ("`architecture`", "family", "parameters", "million MACs", "MiB in float32")
    return tables.table(columns, (row for _, row in sorted(rows)))


def others() -> str:
    """How many networks of torchvision and timm there are, and where to look for their names."""
    ours = sorted(entry.name for entry in ARCHITECTURES.values() if entry.family == "torchvision")
    families = Counter(name.removeprefix("timm/").split("_")[0].split(".")[0] for name in TIMM_NAMES)
    common = ", ".join(f"{name} ({count})" for name, count in families.most_common(_SMALLEST))
    return (
        f"**torchvision**, {len(ours)} networks: {', '.join(f'`{name}`' for name in ours)}.\n\n"
        f"**timm**, {len(TIMM_NAMES):,} networks as `timm/<name>`; the largest families are {common}."
    )
