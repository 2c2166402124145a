"""Choice among networks whose weights have the same names and shapes."""

from collections.abc import Iterable, Sequence

from dlkd_core.catalog.architectures.alike_networks import Equivalents
from dlkd_core.catalog.architectures.timm_architectures import TIMM_PREFIX


def find_declared_network(
    declared_names: Iterable[str], alike: Sequence[Equivalents]
) -> str | None:
    """Return the first of the alike networks that a declared name stands for, or None.

    Names may have the prefixes and tags of timm, as in `hf_hub:timm/resnet18.a1_in1k`.
    """
    for declared in declared_names:
        bare = declared.lower().rpartition("/")[2].partition(".")[0]
        for equivalents in alike:
            for name in equivalents:
                if name.removeprefix(TIMM_PREFIX) == bare:
                    return name
    return None


def describe_alternatives(alike: Sequence[Equivalents]) -> str:
    """Return the notice for a checkpoint that fits several networks."""
    return (
        f"The weights fit {_list_networks(alike)}, which compute differently. Each job uses the one"
        " that explains the evaluation images best, unless teacher.architecture names one."
    )


def describe_declaration(declared: str, alike: Sequence[Equivalents]) -> str:
    """Return the notice for a checkpoint that fits several networks and names one of them."""
    return (
        f"The weights fit {_list_networks(alike)}, which compute differently. The file names"
        f" {declared}."
    )


def _list_networks(alike: Sequence[Equivalents]) -> str:
    *others, last = (names[0] for names in alike)
    return f"{', '.join(others)} and {last}"
