"""A teacher and a data set deleted on their pages: asked first, and once more where a model came of it."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from dlkd_client.errors import NotReady, ProblemError
from tests.e2e.portal.conftest import Portal, Visit


def test_a_teacher_that_is_none_is_deleted(visit: Visit, portal: Portal, tmp_path: Path) -> None:
    (tmp_path / "wrong.th").write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(1000))
    teacher = portal.client.upload_teacher(tmp_path / "wrong.th")
    with pytest.raises(NotReady):
        portal.client.ready(teacher)
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open(f"/teachers/{teacher.id}")
        page.get_by_role("button", name="Delete", exact=True).click()
        dialog = page.get_by_role("dialog", name="Delete this teacher?")
        expect(dialog).to_contain_text("cannot be undone")
        assert visitor.axe() == []
        dialog.get_by_role("button", name="Leave it").click()
        expect(dialog).to_have_count(0)
        page.get_by_role("button", name="Delete", exact=True).click()
        dialog.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="Teachers", level=1)).to_be_visible()
        expect(page.get_by_role("link", name="wrong.th")).to_have_count(0)
    with pytest.raises(ProblemError, match="There is no teacher"):
        portal.client.teacher(teacher.id)


def test_a_data_set_that_a_model_came_of_goes_after_a_second_question(visit: Visit, portal: Portal, stripes: Path) -> None:
    dataset = portal.client.ready(portal.client.upload_dataset(stripes, name="short-lived")).id
    spec = {"dataset": {"id": dataset}, "student": {"architecture": "resnet8"}, "training": {"epochs": 1}, "name": "orphan"}
    job = portal.client.wait(portal.client.submit(spec).id)
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open(f"/datasets/{dataset}")
        visitor.expected.add(409)  # a model's lineage names it
        page.get_by_role("button", name="Delete", exact=True).click()
        dialog = page.get_by_role("dialog", name="Delete this data set?")
        dialog.get_by_role("button", name="Delete").click()
        expect(dialog.get_by_role("alert")).to_contain_text(job.model_id or "")
        expect(dialog.get_by_role("alert")).to_contain_text("dataset_in_lineage")
        assert visitor.axe() == []
        dialog.get_by_label("Delete it all the same").check()
        dialog.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="Data sets", level=1)).to_be_visible()
        visitor.open(f"/models/{job.model_id}?tab=lineage")
        origin = page.get_by_role("region", name="Where it comes from")
        expect(origin.get_by_text("deleted", exact=True)).to_be_visible()
        expect(origin.get_by_text("short-lived")).to_be_visible()
        expect(origin.get_by_role("link", name="short-lived")).to_have_count(0)
    portal.client.delete_model(job.model_id or "")
