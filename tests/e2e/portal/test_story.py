"""The whole way through the portal, as somebody goes it who has a teacher and images and wants a small model."""

import hashlib
import re
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.portal.conftest import Portal, Visit
from tests.e2e.portal.visitor import drop

_CHECK, _RUN = 90_000, 240_000  # milliseconds, on a machine that has other things to do, too
_FURTHER = "(first) => Number(document.querySelectorAll('.tile dd')[1].firstChild.textContent.replaceAll(',', '')) > first"


def step_of(page: Page) -> int:
    """The training step that the page tells."""
    tile = page.locator(".tile", has=page.get_by_text("Step", exact=True)).locator("dd").inner_text()
    found = re.match(r"[\d,]+", tile)
    return int(found.group().replace(",", "")) if found else 0


def test_from_a_teacher_and_images_to_a_small_model(visit: Visit, portal: Portal, stripes: Path, tmp_path: Path) -> None:
    model = portal.client.model(portal.teacher)
    checkpoint = portal.client.download(model, "student.safetensors", tmp_path / "my_teacher.safetensors")
    with visit(accept_downloads=True) as visitor:
        page = visitor.page
        visitor.sign_in()
        page.get_by_role("link", name="New job").first.click()

        drop(page, "Bring images", stripes)
        expect(page.get_by_text("120 training and 60 evaluation images")).to_be_visible(timeout=_CHECK)
        drop(page, "Bring a checkpoint", checkpoint)
        expect(page.get_by_text(f"Recognised: {model.architecture}")).to_be_visible(timeout=_CHECK)

        page.get_by_label("Architecture", exact=True).fill("resnet8")
        page.get_by_label("Epochs", exact=True).fill("0")
        visitor.expected.add(422)  # it is asked while one types, and says what is wrong beside the field
        expect(page.get_by_text("greater than or equal to 1").first).to_be_visible()
        expect(page.get_by_role("button", name="Submit")).to_be_disabled()
        page.get_by_label("Epochs", exact=True).fill("20")  # 40 steps
        page.get_by_role("textbox", name="Name", exact=True).fill("by the portal")
        expect(page.get_by_text("as float32")).to_be_visible()
        expect(page.get_by_text("Compression")).to_be_visible()
        page.evaluate("scrollTo(0, 0)")
        visitor.picture("new-filled-light")
        page.get_by_role("button", name="Submit").click()

        expect(page.get_by_role("heading", name="by the portal")).to_be_visible()
        expect(page.get_by_role("heading", name="Accuracy")).to_be_visible()
        expect(page.locator(".chart svg.main-svg").first).to_be_visible()
        first = step_of(page)
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_function(_FURTHER, arg=min(first + 8, 36), timeout=_RUN)  # the page moves on by itself
        visitor.picture("job-running-light")
        expect(page.locator(".chip", has_text="succeeded")).to_be_visible(timeout=_RUN)

        page.get_by_role("link", name="Open", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.get_by_role("tab", name="Files").click()
        with page.expect_download() as download:
            page.locator('a[href$="/files/student.onnx"]').first.click()
        job_id = next(job.id for job in portal.client.jobs(name="by the portal"))
        made = portal.client.model(portal.client.job(job_id).model_id or "")
        announced = next(file for file in made.files if file.name == "student.onnx")
        visitor.open(f"/compare?ids={portal.teacher},{made.id}")
        expect(page.get_by_text("by-the-portal").filter(visible=True).first).to_be_visible()
        visitor.open(f"/teachers/{portal.client.job(job_id).teacher_id}")
        expect(page.get_by_text(re.compile(r"by-the-portal@\d"))).to_be_visible()
        assert visitor.axe() == []
        assert hashlib.sha256(download.value.path().read_bytes()).hexdigest() == announced.sha256


def test_a_job_is_measured_on_another_data_set(visit: Visit, portal: Portal) -> None:
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open(f"/new?clone={portal.distilled}")
        for name in ("knn", "linear_probe", "transfer"):
            page.get_by_role("button", name=f"Add {name}", exact=True).click()
        plan = page.get_by_role("region", name="Plan")
        expect(plan).to_contain_text("Pick the data set to transfer to")
        expect(plan.get_by_role("button", name="Submit the clone")).to_be_disabled()
        page.get_by_label("Images to transfer to").select_option(portal.dataset)
        page.get_by_role("group", name="transfer").get_by_label("Penalty").fill("0.5")
        page.get_by_role("button", name="Remove linear_probe, protocol 2").click()
        expect(page.get_by_role("list", name="Protocols").get_by_role("button").first).to_be_focused()
        visitor.expected.add(422)
        page.get_by_role("group", name="knn").get_by_label("K", exact=True).fill("0")
        expect(page.get_by_role("group", name="knn")).to_contain_text("greater than or equal to 1")
        page.get_by_role("group", name="knn").get_by_label("K", exact=True).fill("5")
        assert visitor.axe() == []
        page.get_by_role("heading", name="Measured beside the accuracy").scroll_into_view_if_needed()
        visitor.picture("new-evaluations")
        page.get_by_role("textbox", name="Name", exact=True).fill("measured elsewhere")
        page.get_by_role("button", name="Submit the clone").click()
        expect(page.get_by_role("heading", name="measured elsewhere")).to_be_visible()
        job = next(portal.client.jobs(name="measured elsewhere"))
        neighbours, transfer = job.spec["evaluation"]
        assert (neighbours["name"], neighbours["k"]) == ("knn", 5)
        assert (transfer["name"], transfer["penalty"], transfer["dataset"]["id"]) == ("transfer", 0.5, portal.dataset)
        portal.client.cancel(job.id, force=True)


def test_a_job_is_cloned_with_a_change_paused_resumed_and_cancelled(visit: Visit, portal: Portal) -> None:
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open(f"/jobs/{portal.distilled}")
        page.get_by_role("link", name="Clone").click()
        page.get_by_label("Epochs", exact=True).fill("5000")
        page.get_by_role("textbox", name="Name", exact=True).fill("a long one")
        page.get_by_role("button", name="Submit the clone").click()
        expect(page.get_by_role("heading", name="a long one")).to_be_visible()
        job = next(job for job in portal.client.jobs(name="a long one"))
        assert (job.spec["training"]["epochs"], job.cloned_from) == (5000, portal.distilled)
        assert job.spec["method"] == portal.client.job(portal.distilled).spec["method"]

        expect(page.locator(".chip", has_text="running")).to_be_visible(timeout=_RUN)
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Resume").click()
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert visitor.axe() == []
        page.get_by_role("button", name="Cancel the job").click()
        expect(page.locator(".chip", has_text="cancelled")).to_be_visible()
        expect(page.get_by_role("button", name="Retry")).to_be_visible()


def test_a_file_that_is_no_teacher_is_refused_with_a_reason(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "notes.pt"
    file.write_text("no checkpoint")
    with visit() as visitor:
        visitor.expected.add(422)
        visitor.sign_in()
        visitor.open("/teachers")
        visitor.page.get_by_label("Bring a checkpoint").set_input_files(file)
        expect(visitor.page.get_by_role("alert")).to_contain_text("checkpoint", timeout=_CHECK)


def test_whoever_only_looks_is_offered_nothing_to_change(visit: Visit, portal: Portal) -> None:
    wanted = {"name": "looks", "role": "viewer", "owner": portal.client.job(portal.distilled).owner}
    made = httpx.post(f"{portal.url}/v1/keys", json=wanted, headers={"Authorization": f"Bearer {portal.key}"})
    with visit() as visitor:
        visitor.sign_in(made.json()["key"])
        visitor.open(f"/jobs/{portal.distilled}")
        expect(visitor.page.get_by_text("by dlkd").first).to_be_visible()
        for words in ("Clone", "Delete", "New job"):
            assert visitor.page.get_by_text(words, exact=True).count() == 0
        visitor.open("/models")
        expect(visitor.page.get_by_text("stripes-by-dlkd").first).to_be_visible()
        assert visitor.page.get_by_text("Import a bundle").count() == 0


def test_a_session_that_ended_leads_to_the_sign_in_page(visit: Visit) -> None:
    with visit() as visitor:
        visitor.expected.add(401)
        visitor.sign_in()
        visitor.page.context.clear_cookies()
        expect(visitor.page.get_by_role("alert")).to_contain_text("Your session has ended")
