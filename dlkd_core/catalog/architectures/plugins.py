"""Architectures that installed packages declare in the entry point group `dlkd_core.architectures`.

The module in which an architecture is defined should not import torch. For example, a package
declares an architecture with the following lines in its `pyproject.toml`::

    [project.entry-points."dlkd_core.architectures"]
    tiny_cnn = "my_networks.catalog:TINY_CNN"
"""

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points

from dlkd_core.catalog.architectures.architecture import (
    TIMM_FAMILY,
    TORCHVISION_FAMILY,
    Architecture,
)
from dlkd_core.errors import PackageInvalid

ENTRY_POINT_GROUP = "dlkd_core.architectures"
_RESERVED_FAMILIES = (TORCHVISION_FAMILY, TIMM_FAMILY)


def load_installed_architectures(existing_names: Collection[str]) -> list[Architecture]:
    """Return the architectures of all installed packages, sorted by entry point name.

    Raises:
        PackageInvalid: An entry point cannot be imported or is not an `Architecture`, the name of
            the architecture already exists, or its family is reserved.
    """
    installed: dict[str, Architecture] = {}
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        entry = _load_entry(point)
        if entry.family in _RESERVED_FAMILIES:
            raise PackageInvalid(
                f"{_describe_entry_point(point)} uses the reserved family {entry.family} for"
                f" {entry.name!r}.",
                hint="Use another name for the family.",
            )
        if entry.name in existing_names or entry.name in installed:
            raise PackageInvalid(
                f"{_describe_entry_point(point)} declares an architecture called {entry.name!r},"
                " but this name already exists.",
                hint="Rename the architecture, or uninstall one of the packages that declare it.",
            )
        installed[entry.name] = entry
    return list(installed.values())


def _load_entry(point: EntryPoint) -> Architecture:
    try:
        entry = point.load()
    except Exception as error:  # a package's own code can fail in any way
        raise PackageInvalid(
            f"{_describe_entry_point(point)} cannot be loaded: {type(error).__name__}: {error}."
        ) from error
    if not isinstance(entry, Architecture):
        raise PackageInvalid(
            f"{_describe_entry_point(point)} is of type {type(entry).__name__}, not an Architecture"
            " from dlkd_core.catalog.architectures.architecture."
        )
    return entry


def _describe_entry_point(point: EntryPoint) -> str:
    package = point.dist.name if point.dist else "?"
    return f"The entry point {point.name} = {point.value} of the package {package}"
