"""Uploads in several requests and bundles, over each set of engines."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from tests.api.bundles import WEIGHTS, bundle
from tests.api.tus import TUS, append, begin, checksum
from tests.engines import settings_of
from tests.integration.conftest import ENGINES
from tests.service import ready, stopped, up


@pytest.fixture(params=ENGINES)
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[httpx.Client]:
    with up(tmp_path / "data", **settings_of(request, *request.param)) as process:
        running = ready(process)
        headers = {"Authorization": f"Bearer {running['api_key']}"}
        with httpx.Client(base_url=running["url"], headers=headers, timeout=60, trust_env=False) as client:
            yield client
        assert stopped(process)[0] == 0


def sent(door: httpx.Client, content: bytes, filename: str) -> str:
    """The id of a finished upload that came in three stretches."""
    place, third = begin(door, len(content), filename=filename, sha256=sha256(content).hexdigest()), len(content) // 3
    for start, end in ((0, third), (third, 2 * third), (2 * third, len(content))):
        assert door.head(place, headers=TUS).headers["Upload-Offset"] == str(start)
        answer = append(door, place, start, content[start:end], **checksum(content[start:end]))
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(end)), answer.text
    return place.rpartition("/")[2]


def test_an_upload_becomes_a_data_set_and_a_bundle_a_model(door: httpx.Client, stripes: Path) -> None:
    images = stripes.read_bytes()
    made = door.post("/v1/datasets", json={"upload_id": sent(door, images, "stripes.zip"), "name": "stripes"})
    assert (made.status_code, made.json()["sha256"]) == (201, sha256(images).hexdigest()), made.text
    taken = door.post("/v1/models/import", json={"upload_id": sent(door, bundle(), "bundle.zip")})
    assert taken.status_code == 201, taken.text
    (file,) = taken.json()["files"]
    assert door.get(file["url"], follow_redirects=True).content == WEIGHTS
    deadline = monotonic() + 120
    while (dataset := door.get(made.headers["Location"]).json())["status"] == "validating" and monotonic() < deadline:
        sleep(0.2)
    assert (dataset["status"], dataset["splits"]) == ("ready", {"train": 120, "val": 60})
    while (trial := door.get(taken.headers["Location"]).json()["imported"]["trial"])["status"] == "waiting":
        assert monotonic() < deadline
        sleep(0.2)
    assert (trial["status"], trial["error"]["code"]) == ("failed", "model_unfit")  # its weights are a text
