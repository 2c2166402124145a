"""The main workflow in the portal: upload a teacher and a dataset, submit a job, follow it."""

import hashlib
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.portal.conftest import OpenPage, PortalService
from tests.e2e.portal.portal_page import drop_file

# Long timeouts in milliseconds, because the machine runs other tests at the same time.
_CHECK_TIMEOUT_MS, _RUN_TIMEOUT_MS = 90_000, 240_000
_STEP_ADVANCED = """(first) => {
  const text = document.querySelectorAll(".tile dd")[1].firstChild.textContent;
  return Number(text.replaceAll(",", "")) > first;
}"""


def current_step(page: Page) -> int:
    """Return the training step that the job page shows."""
    tile = page.locator(".tile", has=page.get_by_text("Step", exact=True))
    match = re.match(r"[\d,]+", tile.locator("dd").inner_text())
    return int(match.group().replace(",", "")) if match else 0


def test_upload_teacher_and_dataset_then_distill(  # noqa: PLR0915 - one story
    open_page: OpenPage, portal: PortalService, stripes: Path, tmp_path: Path
) -> None:
    model = portal.client.model(portal.teacher_model)
    checkpoint = portal.client.download(
        model, "student.safetensors", tmp_path / "my_teacher.safetensors"
    )
    with open_page(accept_downloads=True) as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        page.get_by_role("link", name="New job").first.click()

        drop_file(page, "Upload images", stripes)
        expect(page.get_by_text("120 training and 60 evaluation images")).to_be_visible(
            timeout=_CHECK_TIMEOUT_MS
        )
        drop_file(page, "Upload a checkpoint", checkpoint)
        expect(page.get_by_text(f"Recognized: {model.architecture}")).to_be_visible(
            timeout=_CHECK_TIMEOUT_MS
        )

        page.get_by_label("Architecture", exact=True).fill("resnet8")
        page.get_by_label("Start from the teacher's weights").check()
        page.get_by_label("Epochs", exact=True).fill("0")
        portal_page.expected_statuses.add(422)  # the portal checks the request while the user types
        expect(page.get_by_text("greater than or equal to 1").first).to_be_visible()
        expect(page.get_by_role("button", name="Submit")).to_be_disabled()
        page.get_by_label("Epochs", exact=True).fill("20")  # 40 steps
        page.get_by_role("textbox", name="Name", exact=True).fill("by the portal")
        expect(page.get_by_text("as float32")).to_be_visible()
        expect(page.get_by_text("Compression")).to_be_visible()
        page.evaluate("scrollTo(0, 0)")
        portal_page.take_screenshot("new-filled-light")
        baseline = page.get_by_label("Show the gain over labels alone")
        page.get_by_label("Distillation method").select_option("seed")  # trains no classifier
        expect(baseline).not_to_be_visible()
        page.get_by_label("Distillation method").select_option("dlkd_auto")
        expect(baseline).to_be_checked()
        page.get_by_role("button", name="Submit").click()

        expect(page.get_by_role("heading", name="by the portal")).to_be_visible()
        expect(page.get_by_role("heading", name="Accuracy")).to_be_visible()
        expect(page.locator(".chart svg.main-svg").first).to_be_visible()
        first = current_step(page)
        page.evaluate("scrollTo(0, 0)")
        # The page updates without a reload.
        page.wait_for_function(_STEP_ADVANCED, arg=min(first + 8, 36), timeout=_RUN_TIMEOUT_MS)
        portal_page.take_screenshot("job-running-light")
        expect(page.locator(".chip", has_text="succeeded")).to_be_visible(timeout=_RUN_TIMEOUT_MS)

        expect(page.get_by_role("list", name="Phases")).to_contain_text("training the baseline")
        page.get_by_role("link", name="Open", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        gain = page.get_by_role("region", name="Gain")
        expect(gain).to_contain_text("points over the same network trained on labels alone")
        expect(gain).to_contain_text("on the same 60 images")
        page.get_by_role("tab", name="Files").click()
        with page.expect_download() as download:
            page.locator('a[href$="/files/student.onnx"]').first.click()
        job_id = next(job.id for job in portal.client.jobs(name="by the portal"))
        assert portal.client.job(job_id).spec["student"]["init"] == "teacher"
        model = portal.client.model(portal.client.job(job_id).model_id or "")
        expected_file = next(file for file in model.files if file.name == "student.onnx")
        portal_page.open(f"/compare?ids={portal.teacher_model},{model.id}")
        expect(page.get_by_text("by-the-portal").filter(visible=True).first).to_be_visible()
        portal_page.open(f"/teachers/{portal.client.job(job_id).teacher_id}")
        expect(page.get_by_text(re.compile(r"by-the-portal@\d"))).to_be_visible()
        assert portal_page.accessibility_violations() == []
        assert (
            hashlib.sha256(download.value.path().read_bytes()).hexdigest() == expected_file.sha256
        )


@pytest.mark.parametrize(
    ("gain", "tone", "text"),
    [
        (0.123, "good", "+12.3 ± 0.8 points over"),
        (-0.123, "bad", "Distillation made this student worse."),
        (0.007, "", "can be due to chance"),
    ],
)
def test_a_model_page_states_gain_and_warnings(
    open_page: OpenPage, portal: PortalService, gain: float, tone: str, text: str
) -> None:
    def add_baseline(route: Route) -> None:
        response = route.fetch()
        model = response.json()
        model["metrics"]["baseline"] = {
            "top1": 0.5,
            "images": 1000,
            "gain": gain,
            "gain_interval": 0.008,
        }
        model["warnings"] = ["The teacher does not fit."]
        route.fulfill(response=response, json=model)

    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        page.route(f"**/v1/models/{portal.teacher_model}", add_baseline)
        portal_page.open(f"/models/{portal.teacher_model}")
        section = page.get_by_role("region", name="Gain")
        expect(section).to_contain_text(text)
        assert (section.get_attribute("class") or "").split() == ["notice", *tone.split()]
        expect(page.get_by_role("region", name="Warnings")).to_contain_text("does not fit")
        assert portal_page.accessibility_violations() == []


def test_transfer_evaluation_on_another_dataset(open_page: OpenPage, portal: PortalService) -> None:
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open(f"/new?clone={portal.distilled_job}")
        for name in ("knn", "linear_probe", "transfer"):
            page.get_by_role("button", name=f"Add {name}", exact=True).click()
        plan = page.get_by_role("region", name="Plan")
        expect(plan).to_contain_text("Select the target dataset")
        expect(plan.get_by_role("button", name="Submit clone")).to_be_disabled()
        page.get_by_label("Target dataset").select_option(portal.dataset)
        page.get_by_role("group", name="transfer").get_by_label("Penalty").fill("0.5")
        page.get_by_role("button", name="Remove linear_probe, protocol 2").click()
        expect(
            page.get_by_role("list", name="Protocols").get_by_role("button").first
        ).to_be_focused()
        portal_page.expected_statuses.add(422)
        page.get_by_role("group", name="knn").get_by_label("K", exact=True).fill("0")
        expect(page.get_by_role("group", name="knn")).to_contain_text("greater than or equal to 1")
        page.get_by_role("group", name="knn").get_by_label("K", exact=True).fill("5")
        assert portal_page.accessibility_violations() == []
        page.get_by_role("heading", name="Additional evaluations").scroll_into_view_if_needed()
        portal_page.take_screenshot("new-evaluations")
        page.get_by_role("textbox", name="Name", exact=True).fill("measured elsewhere")
        page.get_by_role("button", name="Submit clone").click()
        expect(page.get_by_role("heading", name="measured elsewhere")).to_be_visible()
        job = next(portal.client.jobs(name="measured elsewhere"))
        neighbors, transfer = job.spec["evaluation"]
        assert (neighbors["name"], neighbors["k"]) == ("knn", 5)
        assert (transfer["name"], transfer["penalty"], transfer["dataset"]["id"]) == (
            "transfer",
            0.5,
            portal.dataset,
        )
        portal.client.cancel(job.id, force=True)


def test_job_is_cloned_paused_resumed_and_cancelled(
    open_page: OpenPage, portal: PortalService
) -> None:
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open(f"/jobs/{portal.distilled_job}")
        page.get_by_role("link", name="Clone").click()
        page.get_by_label("Epochs", exact=True).fill("5000")
        page.get_by_role("textbox", name="Name", exact=True).fill("a long one")
        page.get_by_role("button", name="Submit clone").click()
        expect(page.get_by_role("heading", name="a long one")).to_be_visible()
        job = next(job for job in portal.client.jobs(name="a long one"))
        assert (job.spec["training"]["epochs"], job.cloned_from) == (5000, portal.distilled_job)
        assert job.spec["method"] == portal.client.job(portal.distilled_job).spec["method"]

        expect(page.locator(".chip", has_text="running")).to_be_visible(timeout=_RUN_TIMEOUT_MS)
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Resume").click()
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert portal_page.accessibility_violations() == []
        page.get_by_role("button", name="Cancel job").click()
        expect(page.locator(".chip", has_text="cancelled")).to_be_visible()
        expect(page.get_by_role("button", name="Retry")).to_be_visible()


def test_invalid_checkpoint_is_refused_with_a_reason(open_page: OpenPage, tmp_path: Path) -> None:
    file = tmp_path / "notes.pt"
    file.write_text("no checkpoint")
    with open_page() as portal_page:
        portal_page.expected_statuses.add(422)
        portal_page.sign_in()
        portal_page.open("/teachers")
        portal_page.page.get_by_label("Upload a checkpoint").set_input_files(file)
        expect(portal_page.page.get_by_role("alert")).to_contain_text(
            "checkpoint", timeout=_CHECK_TIMEOUT_MS
        )


def test_viewer_sees_no_actions(open_page: OpenPage, portal: PortalService) -> None:
    key_request = {
        "name": "viewer key",
        "role": "viewer",
        "owner": portal.client.job(portal.distilled_job).owner,
    }
    headers = {"Authorization": f"Bearer {portal.key}"}
    key = httpx.post(f"{portal.url}/v1/keys", json=key_request, headers=headers).json()["key"]
    with open_page() as portal_page:
        portal_page.sign_in(key)
        portal_page.open(f"/jobs/{portal.distilled_job}")
        expect(portal_page.page.get_by_text("by dlkd").first).to_be_visible()
        for label in ("Clone", "Delete", "New job"):
            assert portal_page.page.get_by_text(label, exact=True).count() == 0
        portal_page.open("/models")
        expect(portal_page.page.get_by_text("stripes-by-dlkd").first).to_be_visible()
        assert portal_page.page.get_by_text("Import bundle").count() == 0


def test_expired_session_leads_to_sign_in(open_page: OpenPage) -> None:
    with open_page() as portal_page:
        portal_page.expected_statuses.add(401)
        portal_page.sign_in()
        portal_page.page.context.clear_cookies()
        expect(portal_page.page.get_by_role("alert")).to_contain_text("Your session has expired")
