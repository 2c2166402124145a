"""What came of jobs, and what they learnt on: models found, compared, downloaded, renamed and deleted; data sets looked at."""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.portal.conftest import Portal, Visit
from tests.e2e.portal.visitor import drop

_CHECK = 90_000  # milliseconds, on a machine that has other things to do, too


@pytest.fixture
def rest(portal: Portal) -> Iterator[httpx.Client]:
    """The same service without the portal."""
    headers = {"Authorization": f"Bearer {portal.key}"}
    with httpx.Client(base_url=portal.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def second(portal: Portal, rest: httpx.Client) -> dict[str, Any]:
    """Another version of the student's name: the student itself, come back in its bundle."""
    bundle = rest.get(f"/v1/models/{portal.student}/bundle").content
    answer = rest.post("/v1/models/import", files={"file": ("student.zip", bundle)}, data={"name": "stripes-by-dlkd"})
    assert answer.status_code == 201, answer.text
    model: dict[str, Any] = answer.json()
    return model


def test_models_are_found_and_compared(visit: Visit, portal: Portal) -> None:
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open("/models")
        expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()  # the page of jobs has such a field, too
        page.get_by_label("Name contains").fill("BY-LABELS")
        expect(page.get_by_role("link", name="stripes-by-dlkd 1")).to_have_count(0)
        page.get_by_role("checkbox", name="Compare teacher-by-labels 1").check()
        page.get_by_label("Name contains").fill("")
        page.get_by_role("checkbox", name="Compare stripes-by-dlkd 1", exact=True).check()
        page.get_by_role("link", name="Compare 2").click()
        table = page.get_by_role("region", name="Models side by side")
        expect(table.get_by_role("row", name="Architecture resnet20 resnet8")).to_be_visible()
        expect(table.get_by_role("row", name="Parameters against its teacher")).to_contain_text("fewer")
        expect(page.get_by_role("region", name="Accuracy by class").get_by_role("row", name="diagonal")).to_contain_text("%")
        page.get_by_label("Take teacher-by-labels 1 out").click()
        expect(page.get_by_text("Choose one more at least")).to_be_visible()
        page.get_by_label("Add a model").select_option(portal.teacher)
        expect(table.get_by_role("columnheader").nth(1)).to_have_text("stripes-by-dlkd 1")  # the first is the measure


def test_a_point_tells_its_model_and_opens_it(visit: Visit, portal: Portal) -> None:
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open(f"/compare?dataset={portal.dataset}")
        cloud = page.get_by_role("region", name="Accuracy against size")
        expect(cloud.get_by_role("img")).to_have_attribute("aria-label", re.compile("on the front, from the cheapest: .*-by-"))
        point = cloud.locator(".points path").first
        expect(point).to_be_attached()
        box = point.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(cloud.locator(".hoverlayer")).to_contain_text("resnet8")
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_url(re.compile("#/models/model_"))
        expect(page.locator("main h1")).to_have_text(re.compile("-by-"))


def test_a_file_comes_down_as_it_was_published(visit: Visit, portal: Portal, tmp_path: Path) -> None:
    digest = {file.name: file.sha256 for file in portal.client.model(portal.student).files}
    with visit(accept_downloads=True) as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open(f"/models/{portal.student}?tab=files")
        expect(page.get_by_label(f"Copy {digest['student.onnx']}")).to_be_visible()
        with page.expect_download() as coming:
            page.get_by_role("link", name="Download student.onnx").click()
        path = tmp_path / coming.value.suggested_filename
        coming.value.save_as(path)
        assert (path.name, sha256(path.read_bytes()).hexdigest()) == ("student.onnx", digest["student.onnx"])
        page.get_by_label("A file that you downloaded").set_input_files(path)
        expect(page.get_by_text("student.onnx is student.onnx, to the last bit.")).to_be_visible()
        cut = tmp_path / "cut.onnx"
        cut.write_bytes(path.read_bytes()[:-1])
        page.get_by_label("A file that you downloaded").set_input_files(cut)
        expect(page.get_by_text("cut.onnx is none of these files")).to_be_visible()
        page.get_by_role("button", name="Link").first.click()
        address = page.get_by_role("dialog").locator("pre").inner_text()
        assert address.startswith(portal.url)
        assert sha256(httpx.get(address, trust_env=False).content).hexdigest() == digest["student.onnx"]


def test_an_alias_moves_after_a_question_and_holds_its_model(
    visit: Visit, portal: Portal, rest: httpx.Client, second: dict[str, Any]
) -> None:
    champion = "/v1/models/stripes-by-dlkd@champion"
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open(f"/models/{portal.student}")
        point(page, "champion")
        expect(page.get_by_text("@champion", exact=True)).to_be_visible()
        assert rest.get(champion).json()["id"] == portal.student

        visitor.open(f"/models/{second['id']}")
        expect(page.locator("main h1")).to_have_text(f"stripes-by-dlkd {second['version']}")  # and no longer the other one
        point(page, "champion")
        expect(page.get_by_role("dialog")).to_contain_text("It points at version 1 now")
        assert visitor.axe() == []
        page.get_by_role("button", name="Move it").click()
        expect(page.get_by_text("@champion", exact=True)).to_be_visible()
        assert rest.get(champion).json()["id"] == second["id"]

        page.get_by_label("Tag to add").fill("shipped")
        page.get_by_role("button", name="Add tag").click()
        page.get_by_role("textbox", name="Notes").fill("for the door")
        page.get_by_role("button", name="Save notes").click()
        expect(page.get_by_role("button", name="Remove the tag shipped")).to_be_visible()
        expect(page.get_by_role("button", name="Save notes")).to_be_disabled()
        found = rest.get(champion).json()
        assert (found["tags"], found["notes"]) == (["shipped"], "for the door")

        visitor.expected.add(409)  # an alias points at it
        page.get_by_role("button", name="Delete", exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_role("alert")).to_contain_text("model_aliased")
        page.get_by_label("Delete it with its aliases").check()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="Models")).to_be_visible()
    assert rest.get(f"/v1/models/{second['id']}").status_code == 404
    assert rest.get(champion).status_code == 404


def test_a_bundle_is_imported_under_another_name(visit: Visit, portal: Portal, rest: httpx.Client, tmp_path: Path) -> None:
    with visit(accept_downloads=True) as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open(f"/models/{portal.student}?tab=files")
        with page.expect_download() as coming:
            page.locator('a[href$="/bundle"]').first.click()
        coming.value.save_as(tmp_path / "student.zip")
        broken = tmp_path / "broken.zip"
        broken.write_bytes((tmp_path / "student.zip").read_bytes()[:-100])

        visitor.open("/models")
        page.get_by_role("button", name="Import a bundle").click()
        dialog = page.get_by_role("dialog", name="Import a bundle")
        expect(dialog.get_by_role("button", name="Import")).to_be_disabled()
        visitor.expected.add(422)
        dialog.get_by_label("Name").fill("no name!")
        dialog.get_by_label("Notes").fill("from afar")
        drop(page, "The zip of a model's page", broken)
        dialog.get_by_role("button", name="Import").click()
        expect(dialog.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
        dialog.get_by_label("Name").fill("stripes-elsewhere")
        dialog.get_by_role("button", name="Import").click()
        expect(dialog.get_by_role("alert")).to_contain_text("bundle_invalid")
        assert visitor.axe() == []
        visitor.picture("model-import")

        drop(page, "Another bundle", tmp_path / "student.zip")
        dialog.get_by_role("button", name="Import").click()  # with what was filled in
        expect(page.locator("main h1")).to_have_text("stripes-elsewhere 1")
        expect(page.get_by_text("a bundle that was imported")).to_be_visible()
        expect(page.get_by_text("what the report tells of")).to_be_visible(timeout=60_000)  # a worker has tried the files
    made = rest.get("/v1/models/stripes-elsewhere@1").json()
    assert (made["origin"], made["notes"], made["job_id"]) == ("imported", "from afar", None)
    assert rest.delete(f"/v1/models/{made['id']}").status_code == 204


def point(page: Page, alias: str) -> None:
    page.get_by_label("Alias to set on this version").fill(alias)
    page.get_by_role("button", name="Set alias").click()


def test_a_model_tells_where_it_comes_from(visit: Visit, portal: Portal) -> None:
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open(f"/models/{portal.student}?tab=lineage")
        origin = page.get_by_role("region", name="Where it comes from")
        expect(origin.get_by_role("link")).to_have_text(
            ["stripes-by-dlkd", "stripes by dlkd", "stripes", "teacher-by-labels", "teacher by labels", "stripes"]
        )
        origin.get_by_role("link", name="teacher-by-labels").click()
        expect(page.locator("main h1")).to_have_text("teacher-by-labels 1")


def test_a_data_set_shows_its_images_and_what_came_of_it(visit: Visit, portal: Portal) -> None:
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open("/datasets")
        with page.expect_response(re.compile("/samples$")) as answer:
            page.locator(f"a[href='#/datasets/{portal.dataset}']").click()
        assert (answer.value.status, answer.value.headers["content-type"]) == (200, "image/webp")
        row = page.get_by_role("img", name="Samples of diagonal")
        expect(row).to_be_visible()
        assert len(set(row.screenshot())) > 16  # there is a picture in it
        expect(page.get_by_role("region", name="Images of each class")).to_contain_text("40 of each to learn on")
        jobs = page.get_by_role("region", name="Jobs on it")
        expect(jobs.get_by_role("link", name="stripes by dlkd")).to_be_visible()
        expect(page.get_by_role("region", name="Models of it").get_by_role("link", name="stripes-by-dlkd 1")).to_be_visible()
        page.get_by_role("link", name="Compare its models").click()
        expect(page.get_by_label("Trained on")).to_have_value(portal.dataset)


def test_images_are_brought_on_the_page_of_data_sets(visit: Visit, stripes: Path) -> None:
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open("/datasets")
        page.get_by_label("Bring images").set_input_files(stripes)
        expect(page.get_by_text("120 training and 60 val images")).to_be_visible(timeout=_CHECK)


def test_an_archive_without_images_says_what_is_wrong(visit: Visit, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme.txt", "no images")
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open("/datasets")
        page.get_by_label("Bring images").set_input_files(tmp_path / "empty.zip")
        expect(page.get_by_role("region", name="Why it cannot be used")).to_be_visible(timeout=_CHECK)
        assert visitor.axe() == []
