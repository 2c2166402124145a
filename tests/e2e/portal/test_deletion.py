"""Deletion of teachers and datasets, with a second confirmation if a model depends on them."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from dlkd_client.errors import NotReady, ProblemError
from tests.e2e.portal.conftest import OpenPage, PortalService


def test_invalid_teacher_is_deleted(
    open_page: OpenPage, portal: PortalService, tmp_path: Path
) -> None:
    (tmp_path / "wrong.th").write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(1000))
    teacher = portal.client.upload_teacher(tmp_path / "wrong.th")
    with pytest.raises(NotReady):
        portal.client.wait_until_ready(teacher)
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open(f"/teachers/{teacher.id}")
        page.get_by_role("button", name="Delete", exact=True).click()
        dialog = page.get_by_role("dialog", name="Delete this teacher?")
        expect(dialog).to_contain_text("cannot be undone")
        assert portal_page.accessibility_violations() == []
        dialog.get_by_role("button", name="Cancel").click()
        expect(dialog).to_have_count(0)
        page.get_by_role("button", name="Delete", exact=True).click()
        dialog.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="Teachers", level=1)).to_be_visible()
        expect(page.get_by_role("link", name="wrong.th")).to_have_count(0)
    with pytest.raises(ProblemError, match="There is no teacher"):
        portal.client.teacher(teacher.id)


def test_dataset_in_lineage_needs_second_confirmation(
    open_page: OpenPage, portal: PortalService, stripes: Path
) -> None:
    dataset = portal.client.wait_until_ready(
        portal.client.upload_dataset(stripes, name="short-lived")
    ).id
    spec = {
        "dataset": {"id": dataset},
        "student": {"architecture": "resnet8"},
        "training": {"epochs": 1},
        "name": "orphan",
    }
    job = portal.client.wait(portal.client.submit(spec).id)
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open(f"/datasets/{dataset}")
        portal_page.expected_statuses.add(409)  # a model's lineage contains the dataset
        page.get_by_role("button", name="Delete", exact=True).click()
        dialog = page.get_by_role("dialog", name="Delete this dataset?")
        dialog.get_by_role("button", name="Delete").click()
        expect(dialog.get_by_role("alert")).to_contain_text(job.model_id or "")
        expect(dialog.get_by_role("alert")).to_contain_text("dataset_in_lineage")
        assert portal_page.accessibility_violations() == []
        dialog.get_by_label("Delete anyway").check()
        dialog.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="Datasets", level=1)).to_be_visible()
        portal_page.open(f"/models/{job.model_id}?tab=lineage")
        origin = page.get_by_role("region", name="Origin")
        expect(origin.get_by_text("deleted", exact=True)).to_be_visible()
        expect(origin.get_by_text("short-lived")).to_be_visible()
        expect(origin.get_by_role("link", name="short-lived")).to_have_count(0)
    portal.client.delete_model(job.model_id or "")
