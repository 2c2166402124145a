"""Reports about the health of datasets, and the label errors that jobs find in them."""

from typing import Any

import pytest

from registry.attempts import claims
from registry.errors import NotFound
from registry.inputs import dataset_reports, datasets
from tests.registry.conftest import TRAINING_REPORT, RegistryHarness

FOUND: dict[str, Any] = {"images": 4, "count": 1, "examples": [{"index": 3}]}


def finish_with(
    harness: RegistryHarness, dataset: str, label_errors: dict[str, Any] | None
) -> dict[str, Any]:
    """Finish a job on the dataset and return what the report shows if it is the latest job."""
    claim = harness.start_job(dataset={"id": dataset}, method={"name": "plain"})
    report = {**TRAINING_REPORT, "label_errors": label_errors}
    model_id = harness.run(claims.finish, claim, report=report, files=[])
    return {"model_id": model_id, "job_id": claim.job_id, **(label_errors or {})}


def test_the_report_of_the_check_is_stored(harness: RegistryHarness) -> None:
    dataset = harness.add_ready_dataset(report={"majority_top1": 0.5})
    assert harness.run(dataset_reports.get_report, dataset) == {"majority_top1": 0.5}
    digest = harness.run(dataset_reports.get_examples_digest, dataset)
    assert digest == harness.run(datasets.get, dataset).examples_sha256


def test_a_dataset_without_a_report_is_an_error(harness: RegistryHarness) -> None:
    dataset = harness.upload_dataset()
    for read in (dataset_reports.get_report, dataset_reports.get_examples_digest):
        with pytest.raises(NotFound, match=dataset):
            harness.run(read, dataset)


def test_the_latest_label_errors_on_the_dataset_are_found(harness: RegistryHarness) -> None:
    dataset, other = harness.add_ready_dataset(), harness.add_ready_dataset()
    assert harness.run(dataset_reports.find_label_errors, dataset, owner=None) is None
    finish_with(harness, dataset, {**FOUND, "count": 0, "examples": []})
    latest = finish_with(harness, dataset, FOUND)
    finish_with(harness, dataset, None)  # without a teacher
    finish_with(harness, other, {**FOUND, "count": 2})
    for owner in (None, harness.principal.owner):
        found = harness.run(dataset_reports.find_label_errors, dataset, owner=owner)
        assert found == latest
    assert harness.run(dataset_reports.find_label_errors, dataset, owner="another") is None
