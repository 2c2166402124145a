"""The registry in the portal: models, comparison, downloads, aliases, imports and datasets."""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.portal.conftest import OpenPage, PortalService
from tests.e2e.portal.portal_page import drop_file

_CHECK_TIMEOUT_MS = 90_000  # long, because the machine runs other tests at the same time


@pytest.fixture
def http_client(portal: PortalService) -> Iterator[httpx.Client]:
    """Yield an HTTP client for the service."""
    headers = {"Authorization": f"Bearer {portal.key}"}
    with httpx.Client(base_url=portal.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def second_version(portal: PortalService, http_client: httpx.Client) -> dict[str, Any]:
    """Import the student's bundle as a second version under the same name."""
    bundle = http_client.get(f"/v1/models/{portal.student_model}/bundle").content
    answer = http_client.post(
        "/v1/models/import",
        files={"file": ("student.zip", bundle)},
        data={"name": "stripes-by-dlkd"},
    )
    assert answer.status_code == 201, answer.text
    model: dict[str, Any] = answer.json()
    return model


def test_models_are_filtered_and_compared(open_page: OpenPage, portal: PortalService) -> None:
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open("/models")
        # Wait for the models page. The page that is open before it has a field with the same label.
        expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
        page.get_by_label("Name contains").fill("BY-LABELS")
        expect(page.get_by_role("link", name="stripes-by-dlkd 1")).to_have_count(0)
        page.get_by_role("checkbox", name="Compare teacher-by-labels 1").check()
        page.get_by_label("Name contains").fill("")
        page.get_by_role("checkbox", name="Compare stripes-by-dlkd 1", exact=True).check()
        page.get_by_role("link", name="Compare 2").click()
        table = page.get_by_role("region", name="Models side by side")
        expect(table.get_by_role("row", name="Architecture resnet20 resnet8")).to_be_visible()
        expect(table.get_by_role("row", name="Parameters vs. the teacher")).to_contain_text("fewer")
        expect(
            page.get_by_role("region", name="Accuracy by class").get_by_role("row", name="diagonal")
        ).to_contain_text("%")
        page.get_by_label("Remove teacher-by-labels 1").click()
        expect(page.get_by_text("Select at least one more model")).to_be_visible()
        page.get_by_label("Add a model").select_option(portal.teacher_model)
        baseline = table.get_by_role("columnheader").nth(1)
        expect(baseline).to_have_text("stripes-by-dlkd 1")


def test_scatter_point_shows_and_opens_its_model(
    open_page: OpenPage, portal: PortalService
) -> None:
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open(f"/compare?dataset={portal.dataset}")
        chart = page.get_by_role("region", name="Accuracy vs. size")
        expect(chart.get_by_role("img")).to_have_attribute(
            "aria-label", re.compile("On the Pareto front, from the cheapest: .*-by-")
        )
        point = chart.locator(".points path").first
        expect(point).to_be_attached()
        box = point.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(chart.locator(".hoverlayer")).to_contain_text("resnet8")
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_url(re.compile("#/models/model_"))
        expect(page.locator("main h1")).to_have_text(re.compile("-by-"))


def test_downloaded_file_matches_its_digest(
    open_page: OpenPage, portal: PortalService, tmp_path: Path
) -> None:
    digest = {file.name: file.sha256 for file in portal.client.model(portal.student_model).files}
    with open_page(accept_downloads=True) as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open(f"/models/{portal.student_model}?tab=files")
        expect(page.get_by_label(f"Copy {digest['student.onnx']}")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download student.onnx").click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        assert (path.name, sha256(path.read_bytes()).hexdigest()) == (
            "student.onnx",
            digest["student.onnx"],
        )
        page.get_by_label("Downloaded file").set_input_files(path)
        expect(page.get_by_text("student.onnx is an exact copy of student.onnx.")).to_be_visible()
        cut = tmp_path / "cut.onnx"
        cut.write_bytes(path.read_bytes()[:-1])
        page.get_by_label("Downloaded file").set_input_files(cut)
        expect(page.get_by_text("cut.onnx matches none of these files")).to_be_visible()
        page.get_by_role("button", name="Get link").first.click()
        url = page.get_by_role("dialog").locator("pre").inner_text()
        assert url.startswith(portal.url)
        assert sha256(httpx.get(url, trust_env=False).content).hexdigest() == digest["student.onnx"]


def test_alias_moves_after_confirmation_and_protects_its_model(
    open_page: OpenPage,
    portal: PortalService,
    http_client: httpx.Client,
    second_version: dict[str, Any],
) -> None:
    champion = "/v1/models/stripes-by-dlkd@champion"
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open(f"/models/{portal.student_model}")
        set_alias(page, "champion")
        expect(page.get_by_text("@champion", exact=True)).to_be_visible()
        assert http_client.get(champion).json()["id"] == portal.student_model

        portal_page.open(f"/models/{second_version['id']}")
        # Wait until the page shows this model instead of the first one.
        title = f"stripes-by-dlkd {second_version['version']}"
        expect(page.locator("main h1")).to_have_text(title)
        set_alias(page, "champion")
        expect(page.get_by_role("dialog")).to_contain_text("It currently points to version 1")
        assert portal_page.accessibility_violations() == []
        page.get_by_role("button", name="Move alias").click()
        expect(page.get_by_text("@champion", exact=True)).to_be_visible()
        assert http_client.get(champion).json()["id"] == second_version["id"]

        page.get_by_label("New tag").fill("shipped")
        page.get_by_role("button", name="Add tag").click()
        page.get_by_role("textbox", name="Notes").fill("for the demo")
        page.get_by_role("button", name="Save notes").click()
        expect(page.get_by_role("button", name="Remove tag shipped")).to_be_visible()
        expect(page.get_by_text("Notes saved")).to_be_visible()
        expect(page.get_by_role("button", name="Save notes")).to_be_disabled()
        model = http_client.get(champion).json()
        assert (model["tags"], model["notes"]) == (["shipped"], "for the demo")

        portal_page.expected_statuses.add(409)  # refused, because an alias points to the model
        page.get_by_role("button", name="Delete", exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_role("alert")).to_contain_text("model_aliased")
        page.get_by_label("Delete the model and its aliases").check()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="Models")).to_be_visible()
    assert http_client.get(f"/v1/models/{second_version['id']}").status_code == 404
    assert http_client.get(champion).status_code == 404


def test_bundle_is_imported_under_another_name(
    open_page: OpenPage, portal: PortalService, http_client: httpx.Client, tmp_path: Path
) -> None:
    with open_page(accept_downloads=True) as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open(f"/models/{portal.student_model}?tab=files")
        with page.expect_download() as download:
            page.locator('a[href$="/bundle"]').first.click()
        download.value.save_as(tmp_path / "student.zip")
        broken = tmp_path / "broken.zip"
        broken.write_bytes((tmp_path / "student.zip").read_bytes()[:-100])

        portal_page.open("/models")
        page.get_by_role("button", name="Import bundle").click()
        dialog = page.get_by_role("dialog", name="Import bundle")
        expect(dialog.get_by_role("button", name="Import")).to_be_disabled()
        portal_page.expected_statuses.add(422)
        dialog.get_by_label("Name").fill("no name!")
        dialog.get_by_label("Notes").fill("from afar")
        drop_file(page, "Choose a bundle", broken)
        dialog.get_by_role("button", name="Import").click()
        expect(dialog.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
        dialog.get_by_label("Name").fill("stripes-elsewhere")
        dialog.get_by_role("button", name="Import").click()
        expect(dialog.get_by_role("alert")).to_contain_text("bundle_invalid")
        assert portal_page.accessibility_violations() == []
        portal_page.take_screenshot("model-import")

        drop_file(page, "Choose another bundle", tmp_path / "student.zip")
        dialog.get_by_role("button", name="Import").click()  # the other fields keep their values
        expect(page.locator("main h1")).to_have_text("stripes-elsewhere 1")
        expect(page.get_by_text("an imported bundle")).to_be_visible()
        # This text appears after a worker has loaded and run the files.
        expect(page.get_by_text("The results match the report")).to_be_visible(timeout=60_000)
    imported = http_client.get("/v1/models/stripes-elsewhere@1").json()
    assert (imported["origin"], imported["notes"], imported["job_id"]) == (
        "imported",
        "from afar",
        None,
    )
    assert http_client.delete(f"/v1/models/{imported['id']}").status_code == 204


def set_alias(page: Page, alias: str) -> None:
    page.get_by_label("Alias for this version").fill(alias)
    page.get_by_role("button", name="Set alias").click()


def test_model_lineage_is_shown(open_page: OpenPage, portal: PortalService) -> None:
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open(f"/models/{portal.student_model}?tab=lineage")
        origin = page.get_by_role("region", name="Origin")
        expect(origin.get_by_role("link")).to_have_text(
            [
                "stripes-by-dlkd",
                "stripes by dlkd",
                "stripes",
                "teacher-by-labels",
                "teacher by labels",
                "stripes",
            ]
        )
        origin.get_by_role("link", name="teacher-by-labels").click()
        expect(page.locator("main h1")).to_have_text("teacher-by-labels 1")


def test_dataset_shows_samples_and_related_models(
    open_page: OpenPage, portal: PortalService
) -> None:
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open("/datasets")
        with page.expect_response(re.compile("/samples$")) as answer:
            page.locator(f"a[href='#/datasets/{portal.dataset}']").click()
        assert (answer.value.status, answer.value.headers["content-type"]) == (200, "image/webp")
        row = page.get_by_role("img", name="Samples of diagonal")
        expect(row).to_be_visible()
        assert len(set(row.screenshot())) > 16  # the image is not a single color
        expect(page.get_by_role("region", name="Images per class")).to_contain_text(
            "40 training images per class"
        )
        health = page.get_by_role("region", name="Health")
        expect(health).to_contain_text("all classes have the same number of images")
        expect(health).to_contain_text("8 bits (180)")
        checks = page.get_by_role("region", name="Checks of the images")
        expect(checks.get_by_role("row", name="Exact duplicates 0 0 0 0")).to_be_visible()
        expect(page.get_by_text("of 60 evaluation images")).to_be_visible()
        jobs = page.get_by_role("region", name="Jobs on this dataset")
        expect(jobs.get_by_role("link", name="stripes by dlkd")).to_be_visible()
        expect(
            page.get_by_role("region", name="Models trained on this dataset").get_by_role(
                "link", name="stripes-by-dlkd 1"
            )
        ).to_be_visible()
        page.get_by_role("link", name="Compare models").click()
        expect(page.get_by_label("Trained on", exact=True)).to_have_value(portal.dataset)


def test_dataset_is_uploaded_by_drag_and_drop(open_page: OpenPage, stripes: Path) -> None:
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open("/datasets")
        page.get_by_label("Upload images").set_input_files(stripes)
        expect(page.get_by_text("120 training and 60 evaluation images")).to_be_visible(
            timeout=_CHECK_TIMEOUT_MS
        )


def test_archive_without_images_explains_the_error(open_page: OpenPage, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme.txt", "no images")
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open("/datasets")
        page.get_by_label("Upload images").set_input_files(tmp_path / "empty.zip")
        expect(page.get_by_role("region", name="Check failed")).to_be_visible(
            timeout=_CHECK_TIMEOUT_MS
        )
        assert portal_page.accessibility_violations() == []
