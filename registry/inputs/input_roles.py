"""Roles of a job's inputs. They are the keys of `Job.inputs`."""

from collections.abc import Mapping
from typing import Any

from dlkd_core.spec import MAX_PROTOCOLS

TEACHER_ROLE = "teacher"
DATASET_ROLE = "dataset"
REPORT_ROLE = "report"  # facts about an imported model, without a file


def protocol_role(index: int) -> str:
    """Return the role of the dataset that the evaluation protocol at `index` in the spec uses."""
    return f"evaluation/{index}"


# Roles of the inputs that are stored files.
INPUT_ROLES = (
    TEACHER_ROLE,
    DATASET_ROLE,
    *(protocol_role(index) for index in range(MAX_PROTOCOLS)),
)


def transfer_datasets(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the ids of the datasets that the evaluation protocols of a job select, by role.

    Protocols that do not select a dataset use the job's own dataset and are left out.
    """
    return {
        protocol_role(index): protocol["dataset"]["id"]
        for index, protocol in enumerate(spec.get("evaluation", ()))
        if "dataset" in protocol
    }
