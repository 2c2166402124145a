"""Networks that installed packages bring: each names one of its entries under the entry-point group `dlkd_core.architectures`.

In the `pyproject.toml` of such a package, where `my_networks.catalog` imports no torch::

    [project.entry-points."dlkd_core.architectures"]
    tiny_cnn = "my_networks.catalog:TINY_CNN"
"""

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points

from dlkd_core.catalog.architecture import Architecture
from dlkd_core.errors import PackageInvalid

GROUP = "dlkd_core.architectures"
_RESERVED = ("torchvision", "timm")  # whose networks are told apart by what is written down of them


def installed(taken: Collection[str]) -> list[Architecture]:
    """The entries of all installed packages, by name.

    Raises:
        PackageInvalid: what an entry point names is no `Architecture`, cannot be imported, has a name that is `taken`, or a
            family of ours.
    """
    found: dict[str, Architecture] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        entry = _loaded(point)
        if entry.family in _RESERVED:
            raise PackageInvalid(
                f"{_told(point)} says that {entry.name!r} is of the family {entry.family}.", hint="Name its own."
            )
        if entry.name in taken or entry.name in found:
            raise PackageInvalid(
                f"{_told(point)} brings an architecture called {entry.name!r}, and there is one of that name.",
                hint="Rename its entry, or uninstall one of the packages.",
            )
        found[entry.name] = entry
    return list(found.values())


def _loaded(point: EntryPoint) -> Architecture:
    try:
        entry = point.load()
    except Exception as error:  # a package's own code can fail in any way
        raise PackageInvalid(f"{_told(point)} cannot be loaded: {type(error).__name__}: {error}.") from error
    if not isinstance(entry, Architecture):
        raise PackageInvalid(f"{_told(point)} names a {type(entry).__name__}, not an Architecture of dlkd_core.catalog.")
    return entry


def _told(point: EntryPoint) -> str:
    return f"The entry point {point.name} = {point.value} of the package {point.dist.name if point.dist else '?'}"
