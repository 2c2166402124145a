"""Parts of unfinished uploads in local and remote stores."""

import os
from hashlib import sha256
from pathlib import Path

import obstore
import pytest

from registry.errors import StoredFileMissing
from registry.storage.object_store import Store, StoredFile
from registry.uploads.upload_errors import UploadCorrupt
from registry.uploads.upload_parts import ExpectedFile, open_upload_parts

CONTENT = os.urandom(3_000_000)
DIGEST = sha256(CONTENT).hexdigest()


@pytest.fixture(params=["file", "memory"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = f"file://{tmp_path}/a%20store" if request.param == "file" else "memory:///"
    return Store(url, scratch=tmp_path / "incoming")


def list_keys(store: Store) -> list[str]:
    return [item["path"] for batch in obstore.list(store._store) for item in batch]


def write_ranges(store: Store, *ranges: tuple[int, int]) -> None:
    for start, end in ranges:
        open_upload_parts(store).write("upload_1", start, CONTENT[start:end])


def assemble(store: Store, expected: str | None = None) -> StoredFile:
    return open_upload_parts(store).assemble(
        "upload_1", ExpectedFile(len(CONTENT), len(CONTENT), expected)
    )


def test_parts_become_one_file_under_its_digest(any_store: Store) -> None:
    write_ranges(any_store, (0, 1_000_000), (1_000_000, 1_000_001), (1_000_001, 3_000_000))
    assert assemble(any_store, DIGEST) == StoredFile(DIGEST, len(CONTENT))
    open_upload_parts(any_store).discard("upload_1")
    assert list_keys(any_store) == [f"objects/{DIGEST[:2]}/{DIGEST}"]
    assert b"".join(any_store.read(DIGEST)) == CONTENT
    assert list(any_store.scratch.iterdir()) == []


def test_bytes_left_by_a_killed_process_are_overwritten(any_store: Store) -> None:
    open_upload_parts(any_store).write("upload_1", 0, CONTENT[:500_000])
    # The process is killed after it writes these bytes and before it records them as received.
    open_upload_parts(any_store).write("upload_1", 500_000, b"x" * 700_000)
    open_upload_parts(any_store).write("upload_1", 1_200_000, b"x" * 700_000)
    write_ranges(any_store, (500_000, 1_600_000), (1_600_000, 3_000_000))
    assert assemble(any_store).digest == DIGEST


def test_assembling_can_be_repeated(any_store: Store) -> None:
    write_ranges(any_store, (0, 3_000_000))
    assert assemble(any_store) == assemble(any_store)
    assert b"".join(any_store.read(DIGEST)) == CONTENT


def test_the_same_bytes_are_stored_once(any_store: Store) -> None:
    any_store.put([CONTENT])
    write_ranges(any_store, (0, 3_000_000))
    assert assemble(any_store).digest == DIGEST
    open_upload_parts(any_store).discard("upload_1")
    assert len(list_keys(any_store)) == 1


def test_bytes_that_do_not_match_the_declared_digest_are_not_stored(any_store: Store) -> None:
    write_ranges(any_store, (0, 3_000_000))
    with pytest.raises(UploadCorrupt, match=DIGEST):
        assemble(any_store, "0" * 64)
    assert not any_store.exists(DIGEST)
    assert list(any_store.scratch.iterdir()) == []


@pytest.mark.parametrize("ranges", [[], [(0, 2_999_999)], [(0, 1_000_000)]])
def test_missing_bytes_are_an_error(any_store: Store, ranges: list[tuple[int, int]]) -> None:
    write_ranges(any_store, *ranges)
    with pytest.raises(StoredFileMissing, match="upload_1"):
        assemble(any_store)


def test_discarding_a_missing_upload_is_no_error(any_store: Store) -> None:
    open_upload_parts(any_store).discard("upload_1")
