"""What a job's inputs are to it: the keys of `Job.inputs`."""

from collections.abc import Mapping
from typing import Any

from dlkd_core.spec import MOST_PROTOCOLS


def of_protocol(place: int) -> str:
    """The data set of the protocol at that place in the spec."""
    return f"evaluation/{place}"


ROLES = ("teacher", "dataset", *(of_protocol(place) for place in range(MOST_PROTOCOLS)))


def other_datasets(spec: Mapping[str, Any]) -> dict[str, str]:
    """Ids of the data sets beside its own that a job's student is measured on, by their roles."""
    protocols = enumerate(spec.get("evaluation", ()))
    return {of_protocol(place): protocol["dataset"]["id"] for place, protocol in protocols if "dataset" in protocol}
