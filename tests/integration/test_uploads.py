"""Tests for resumable uploads and bundle imports with every combination of backends."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from tests.api.bundle_builder import WEIGHTS, build_bundle
from tests.api.tus_client import TUS_HEADERS, append_chunk, checksum_header, create_upload
from tests.integration.conftest import BACKENDS
from tests.support.backends import make_settings
from tests.support.local_service import read_ready_line, run_local_service, stop


@pytest.fixture(params=BACKENDS)
def http_client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[httpx.Client]:
    with run_local_service(tmp_path / "data", **make_settings(request, *request.param)) as process:
        ready_line = read_ready_line(process)
        headers = {"Authorization": f"Bearer {ready_line['api_key']}"}
        with httpx.Client(
            base_url=ready_line["url"], headers=headers, timeout=60, trust_env=False
        ) as client:
            yield client
        assert stop(process)[0] == 0


def upload_in_three_parts(client: httpx.Client, content: bytes, filename: str) -> str:
    """Upload a file in three requests and return the upload's id."""
    location = create_upload(
        client, len(content), filename=filename, sha256=sha256(content).hexdigest()
    )
    third = len(content) // 3
    for start, end in ((0, third), (third, 2 * third), (2 * third, len(content))):
        assert client.head(location, headers=TUS_HEADERS).headers["Upload-Offset"] == str(start)
        response = append_chunk(
            client, location, start, content[start:end], **checksum_header(content[start:end])
        )
        assert (response.status_code, response.headers["Upload-Offset"]) == (204, str(end)), (
            response.text
        )
    return location.rpartition("/")[2]


def test_an_upload_becomes_a_data_set_and_a_bundle_a_model(
    http_client: httpx.Client, stripes: Path
) -> None:
    images = stripes.read_bytes()
    created = http_client.post(
        "/v1/datasets",
        json={
            "upload_id": upload_in_three_parts(http_client, images, "stripes.zip"),
            "name": "stripes",
        },
    )
    assert (created.status_code, created.json()["sha256"]) == (201, sha256(images).hexdigest()), (
        created.text
    )
    imported = http_client.post(
        "/v1/models/import",
        json={"upload_id": upload_in_three_parts(http_client, build_bundle(), "bundle.zip")},
    )
    assert imported.status_code == 201, imported.text
    (file,) = imported.json()["files"]
    assert http_client.get(file["url"], follow_redirects=True).content == WEIGHTS
    deadline = monotonic() + 120
    while (dataset := http_client.get(created.headers["Location"]).json())[
        "status"
    ] == "validating" and monotonic() < deadline:
        sleep(0.2)
    assert (dataset["status"], dataset["splits"]) == ("ready", {"train": 120, "val": 60})
    while (trial := http_client.get(imported.headers["Location"]).json()["imported"]["trial"])[
        "status"
    ] == "waiting":
        assert monotonic() < deadline
        sleep(0.2)
    # The import check fails, because the bundle's weights file contains plain text.
    assert (trial["status"], trial["error"]["code"]) == ("failed", "model_unfit")
