"""The bytes of uploads on their way, in a folder and in a store that is none."""

import os
from hashlib import sha256
from pathlib import Path

import obstore
import pytest

from registry.errors import FileMissing
from registry.partials import Whole, partials
from registry.store import Store, Stored
from registry.upload_errors import UploadCorrupt

CONTENT = os.urandom(3_000_000)
DIGEST = sha256(CONTENT).hexdigest()


@pytest.fixture(params=["file", "memory"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = f"file://{tmp_path}/a%20store" if request.param == "file" else "memory:///"
    return Store(url, scratch=tmp_path / "incoming")


def keys_of(store: Store) -> list[str]:
    return [item["path"] for batch in obstore.list(store._store) for item in batch]


def kept(store: Store, *stretches: tuple[int, int]) -> None:
    for start, end in stretches:
        partials(store).write("upload_1", start, CONTENT[start:end])


def published(store: Store, expected: str | None = None) -> Stored:
    return partials(store).publish("upload_1", Whole(len(CONTENT), len(CONTENT), expected))


def test_stretches_become_one_file_under_its_digest(anywhere: Store) -> None:
    kept(anywhere, (0, 1_000_000), (1_000_000, 1_000_001), (1_000_001, 3_000_000))
    assert published(anywhere, DIGEST) == Stored(DIGEST, len(CONTENT))
    partials(anywhere).discard("upload_1")
    assert keys_of(anywhere) == [f"objects/{DIGEST[:2]}/{DIGEST}"]
    assert b"".join(anywhere.read(DIGEST)) == CONTENT
    assert list(anywhere.scratch.iterdir()) == []


def test_what_a_killed_process_left_is_overwritten(anywhere: Store) -> None:
    partials(anywhere).write("upload_1", 0, CONTENT[:500_000])
    partials(anywhere).write("upload_1", 500_000, b"x" * 700_000)  # never came to count, nor did the next one
    partials(anywhere).write("upload_1", 1_200_000, b"x" * 700_000)
    kept(anywhere, (500_000, 1_600_000), (1_600_000, 3_000_000))
    assert published(anywhere).digest == DIGEST


def test_the_end_can_be_tried_again(anywhere: Store) -> None:
    kept(anywhere, (0, 3_000_000))
    assert published(anywhere) == published(anywhere)
    assert b"".join(anywhere.read(DIGEST)) == CONTENT


def test_the_same_bytes_are_stored_once(anywhere: Store) -> None:
    anywhere.put([CONTENT])
    kept(anywhere, (0, 3_000_000))
    assert published(anywhere).digest == DIGEST
    partials(anywhere).discard("upload_1")
    assert len(keys_of(anywhere)) == 1


def test_other_bytes_than_were_told_are_not_stored(anywhere: Store) -> None:
    kept(anywhere, (0, 3_000_000))
    with pytest.raises(UploadCorrupt, match=DIGEST):
        published(anywhere, "0" * 64)
    assert not anywhere.exists(DIGEST)
    assert list(anywhere.scratch.iterdir()) == []


@pytest.mark.parametrize("stretches", [[], [(0, 2_999_999)], [(0, 1_000_000)]])
def test_bytes_that_are_gone_are_told(anywhere: Store, stretches: list[tuple[int, int]]) -> None:
    kept(anywhere, *stretches)
    with pytest.raises(FileMissing, match="upload_1"):
        published(anywhere)


def test_nothing_to_discard_is_no_error(anywhere: Store) -> None:
    partials(anywhere).discard("upload_1")
