"""The object store, in a local folder and on a remote server."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from registry.errors import StoredFileCorrupt, StoredFileMissing, UploadTooLarge
from registry.storage.object_store import Store

CONTENT = bytes(range(256)) * 20_000  # 5 MB, more than one chunk
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["file", "memory"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return a local store, or a store that, like S3, has no local files."""
    url = f"file://{tmp_path}/a%20store" if request.param == "file" else "memory:///"
    return Store(url, scratch=tmp_path / "incoming")


def list_files(store: Store) -> list[str]:
    return [item["path"] for batch in obstore.list(store._store) for item in batch]


def test_a_stored_file_is_read_back_by_its_digest(any_store: Store) -> None:
    stored = any_store.put(
        CONTENT[start : start + 70_000] for start in range(0, len(CONTENT), 70_000)
    )
    assert (stored.digest, stored.size) == (DIGEST, len(CONTENT))
    assert b"".join(any_store.read(DIGEST)) == CONTENT
    assert list(any_store.scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (100, 300), (4_999_999, 5_120_000), (5_119_999, None), (7, 7)]
)
def test_ranges_work_like_python_slices(any_store: Store, start: int, end: int | None) -> None:
    any_store.put([CONTENT])
    assert b"".join(any_store.read(DIGEST, start, end)) == CONTENT[start:end]


def test_the_same_bytes_are_stored_once(any_store: Store) -> None:
    assert any_store.put([CONTENT]) == any_store.put([CONTENT[:10], CONTENT[10:]])
    assert len(list_files(any_store)) == 1


def test_an_upload_that_is_too_large_leaves_nothing(any_store: Store) -> None:
    with pytest.raises(UploadTooLarge, match="100 bytes"):
        any_store.put([b"x" * 60] * 2, limit=100)
    assert (list_files(any_store), list(any_store.scratch.iterdir())) == ([], [])


def failing_chunks() -> Iterator[bytes]:
    yield b"half"
    raise ConnectionError


def test_an_interrupted_upload_leaves_nothing(any_store: Store) -> None:
    with pytest.raises(ConnectionError):
        any_store.put(failing_chunks())
    assert (list_files(any_store), list(any_store.scratch.iterdir())) == ([], [])


def test_a_file_is_fetched_to_a_path(any_store: Store, tmp_path: Path) -> None:
    any_store.put([CONTENT])
    any_store.fetch_to(DIGEST, tmp_path / "new" / "copy")
    assert (tmp_path / "new" / "copy").read_bytes() == CONTENT


def test_a_corrupt_file_is_not_fetched(any_store: Store, tmp_path: Path) -> None:
    any_store.put([CONTENT])
    (tmp_path / "other").write_bytes(b"something else")
    any_store.put_key(f"objects/{DIGEST[:2]}/{DIGEST}", tmp_path / "other")
    with pytest.raises(StoredFileCorrupt):
        any_store.fetch_to(DIGEST, tmp_path / "copy" / "file")
    assert list((tmp_path / "copy").iterdir()) == []


def test_a_missing_file_is_reported_before_the_first_chunk(
    any_store: Store, tmp_path: Path
) -> None:
    with pytest.raises(StoredFileMissing):
        any_store.read(DIGEST)
    with pytest.raises(StoredFileMissing):
        any_store.read(DIGEST, 0, 10)
    with pytest.raises(StoredFileMissing):
        any_store.fetch_to(DIGEST, tmp_path / "copy")
    assert not any_store.exists(DIGEST)
    any_store.delete(DIGEST)


def test_objects_can_be_stored_under_keys(any_store: Store, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
        any_store.put_key(f"checkpoints/job_1/{name}", tmp_path / name)
    any_store.fetch_key("checkpoints/job_1/second", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "second"
    any_store.delete_key("checkpoints/job_1/first")
    assert list_files(any_store) == ["checkpoints/job_1/second"]
    any_store.delete_prefix("checkpoints/job_1")
    assert list_files(any_store) == []


def test_only_a_local_store_has_paths(any_store: Store, tmp_path: Path) -> None:
    any_store.put([CONTENT])
    path = any_store.local_path(DIGEST)
    assert path is None or path.read_bytes() == CONTENT
    assert (path is None) == (not (tmp_path / "a store").exists())


def test_the_check_of_a_working_store_passes(any_store: Store) -> None:
    any_store.check()


def test_signed_urls_use_the_public_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    endpoint = {
        "AWS_ENDPOINT_URL": "http://s3:7070",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
    }
    for name, value in {
        **endpoint,
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }.items():
        monkeypatch.setenv(name, value)
    digest = 64 * "a"
    internal_url = Store("s3://dlkd", scratch=tmp_path).signed_url(digest)
    client_url = Store(
        "s3://dlkd", scratch=tmp_path, public_url="https://files.example.org"
    ).signed_url(digest)
    assert internal_url is not None
    assert client_url is not None
    assert internal_url.startswith(f"http://s3:7070/dlkd/objects/aa/{digest}?X-Amz-")
    assert client_url.startswith(f"https://files.example.org/dlkd/objects/aa/{digest}?X-Amz-")
