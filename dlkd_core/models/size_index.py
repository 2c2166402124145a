"""What `dlkd_core/catalog/sizes.json` says of the networks: run this file as a module to write it anew (half a minute).

Each is made on the meta device for two numbers of classes, those with a width in three widths: their channels grow with it in
proportion, so their parameters are a polynomial of the second degree in it, and three counts are all of them.
"""

import json

from dlkd_core.catalog.architectures import ARCHITECTURES, Architecture, CifarResNetOptions
from dlkd_core.catalog.sizes import SIZES_FILE
from dlkd_core.models.skeleton import skeleton

FOREIGN = "timm"  # its own index has its numbers


def index_text() -> str:
    """The file's content: one line for each network."""
    lines = [f"{json.dumps(entry.name)}: {json.dumps(sizes(entry))}" for entry in counted()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def counted() -> list[Architecture]:
    """The entries whose parameters are counted: the project's own and torchvision's."""
    return [entry for entry in ARCHITECTURES.values() if entry.target.startswith("dlkd_core.") and entry.family != FOREIGN]


def sizes(entry: Architecture) -> dict[str, list[int]]:
    """`base` for no class and `class` for each, as polynomials of the width, constant first."""
    widths = (1, 2, 3) if issubclass(entry.options, CifarResNetOptions) else (1,)
    counts = [_count(entry, width) for width in widths]
    return {"base": _polynomial([base for base, _ in counts]), "class": _polynomial([each for _, each in counts])}


def _count(entry: Architecture, width: int) -> tuple[int, int]:
    options = {"width": width} if issubclass(entry.options, CifarResNetOptions) else {}
    two, three = (parameters(entry.name, classes, options) for classes in (2, 3))
    return two - 2 * (three - two), three - two


def parameters(name: str, classes: int, options: dict[str, int]) -> int:
    """By making it, which costs no memory."""
    return sum(parameter.numel() for parameter in skeleton(name, classes, options).module.parameters())


def _polynomial(values: list[int]) -> list[int]:
    """Through the values at 1, 2, 3 (or the one at 1, as a constant)."""
    if len(values) == 1:
        return values
    first, second, third = values
    square = (third - 2 * second + first) // 2
    slope = second - first - 3 * square
    return [first - slope - square, slope, square]


if __name__ == "__main__":
    SIZES_FILE.write_text(index_text())
