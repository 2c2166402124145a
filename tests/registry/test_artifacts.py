"""The file store: a local folder, and a remote one by the same code."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest

from registry import artifacts
from registry.errors import FileCorrupt, FileMissing, UploadTooLarge
from registry.store import Store

CONTENT = bytes(range(256)) * 20_000  # 5 MB: more than one piece
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["file", "memory"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store in a folder, and one that is none (as S3 is)."""
    url = f"file://{tmp_path}/a%20store" if request.param == "file" else "memory:///"
    return Store(url, scratch=tmp_path / "incoming")


def files_of(store: Store) -> list[str]:
    return [item["path"] for batch in obstore.list(store._store) for item in batch]


def test_what_is_put_comes_back_by_its_digest(anywhere: Store) -> None:
    stored = anywhere.put(CONTENT[start : start + 70_000] for start in range(0, len(CONTENT), 70_000))
    assert (stored.digest, stored.size) == (DIGEST, len(CONTENT))
    assert b"".join(anywhere.read(DIGEST)) == CONTENT
    assert list(anywhere.scratch.iterdir()) == []


@pytest.mark.parametrize(("start", "end"), [(0, 1), (100, 300), (4_999_999, 5_120_000), (5_119_999, None), (7, 7)])
def test_ranges_are_those_of_python(anywhere: Store, start: int, end: int | None) -> None:
    anywhere.put([CONTENT])
    assert b"".join(anywhere.read(DIGEST, start, end)) == CONTENT[start:end]


def test_the_same_bytes_are_stored_once(anywhere: Store) -> None:
    assert anywhere.put([CONTENT]) == anywhere.put([CONTENT[:10], CONTENT[10:]])
    assert len(files_of(anywhere)) == 1


def test_an_upload_that_is_too_large_leaves_nothing(anywhere: Store) -> None:
    with pytest.raises(UploadTooLarge, match="100 bytes"):
        anywhere.put([b"x" * 60] * 2, limit=100)
    assert (files_of(anywhere), list(anywhere.scratch.iterdir())) == ([], [])


def breaking_off() -> Iterator[bytes]:
    yield b"half"
    raise ConnectionError


def test_an_upload_that_breaks_off_leaves_nothing(anywhere: Store) -> None:
    with pytest.raises(ConnectionError):
        anywhere.put(breaking_off())
    assert (files_of(anywhere), list(anywhere.scratch.iterdir())) == ([], [])


def test_a_file_is_fetched_whole(anywhere: Store, tmp_path: Path) -> None:
    anywhere.put([CONTENT])
    anywhere.fetch_to(DIGEST, tmp_path / "new" / "copy")
    assert (tmp_path / "new" / "copy").read_bytes() == CONTENT


def test_a_file_whose_bytes_changed_is_not_given_out(anywhere: Store, tmp_path: Path) -> None:
    anywhere.put([CONTENT])
    (tmp_path / "other").write_bytes(b"something else")
    anywhere.put_key(f"objects/{DIGEST[:2]}/{DIGEST}", tmp_path / "other")
    with pytest.raises(FileCorrupt):
        anywhere.fetch_to(DIGEST, tmp_path / "copy" / "file")
    assert list((tmp_path / "copy").iterdir()) == []


def test_what_is_not_there_is_told_at_once(anywhere: Store, tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        anywhere.read(DIGEST)
    with pytest.raises(FileMissing):
        anywhere.read(DIGEST, 0, 10)
    with pytest.raises(FileMissing):
        anywhere.fetch_to(DIGEST, tmp_path / "copy")
    assert not anywhere.exists(DIGEST)
    anywhere.delete(DIGEST)


def test_checkpoints_are_kept_under_names_of_their_own(anywhere: Store, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
        anywhere.put_key(f"checkpoints/job_1/{name}", tmp_path / name)
    anywhere.fetch_key("checkpoints/job_1/second", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "second"
    anywhere.delete_key("checkpoints/job_1/first")
    assert files_of(anywhere) == ["checkpoints/job_1/second"]
    anywhere.delete_under("checkpoints/job_1")
    assert files_of(anywhere) == []


def test_only_a_local_store_has_paths(anywhere: Store, tmp_path: Path) -> None:
    anywhere.put([CONTENT])
    path = anywhere.local_path(DIGEST)
    assert path is None or path.read_bytes() == CONTENT
    assert (path is None) == (not (tmp_path / "a store").exists())


def test_a_store_that_answers_is_healthy(anywhere: Store) -> None:
    anywhere.check()


def test_a_file_that_was_forgotten_while_its_upload_was_taken_in_is_told(world: Any) -> None:
    stored = world.put(b"bytes")
    world.store.delete(stored.digest)
    with pytest.raises(FileMissing):
        world.do(artifacts.record, world.store, stored)


def test_signed_addresses_name_the_host_that_clients_can_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inside = {"AWS_ENDPOINT_URL": "http://s3:7070", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    for name, value in {**inside, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    digest = 64 * "a"
    ours = Store("s3://dlkd", scratch=tmp_path).signed_url(digest)
    theirs = Store("s3://dlkd", scratch=tmp_path, public_url="https://files.example.org").signed_url(digest)
    assert ours is not None
    assert theirs is not None
    assert ours.startswith(f"http://s3:7070/dlkd/objects/aa/{digest}?X-Amz-")
    assert theirs.startswith(f"https://files.example.org/dlkd/objects/aa/{digest}?X-Amz-")
