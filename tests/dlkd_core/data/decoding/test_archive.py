"""Tests for reading untrusted archives and rejecting dangerous ones."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from dlkd_core.data.decoding.archive import read_members
from dlkd_core.data.read_options import DatasetLimits
from dlkd_core.errors import ArchiveRefused, ArchiveUnreadable
from tests.dlkd_core.data.sample_images import tar_bytes


def write_zip(path: Path, files: dict[str, bytes], mode: int = 0o100644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def write_tar(path: Path, entries: list[tarfile.TarInfo], content: bytes = b"x") -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for entry in entries:
            entry.size = len(content) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(content))
    return path


def read_names(path: Path, limits: DatasetLimits | None = None) -> list[str]:
    return [str(name) for name, _ in read_members(path, limits or DatasetLimits())]


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz"])
def test_every_kind_of_source_yields_its_files_without_junk_files(
    tmp_path: Path, kind: str
) -> None:
    files = ["train/a/1.png", "__MACOSX/train/a/._1.png", "train/a/.DS_Store"]
    path = tmp_path / f"data.{kind}"
    if kind == "folder":
        for name in files:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(b"x")
    elif kind == "zip":
        write_zip(path, dict.fromkeys(files, b"x"))
    else:
        write_tar(path, [tarfile.TarInfo(name) for name in files])
    assert read_names(path) == ["train/a/1.png"]


@pytest.mark.parametrize(
    "name", ["../evil.png", "train/../../evil.png", "/etc/evil.png", "C:/evil.png", "..\\evil.png"]
)
def test_a_path_that_leads_out_of_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveRefused, match="points outside the archive"):
        read_names(write_zip(tmp_path / "a.zip", {"train/a/1.png": b"x", name: b"x"}))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    entry = tarfile.TarInfo("train/a/1.png")
    entry.type, entry.linkname = kind, "/etc/passwd"
    with pytest.raises(ArchiveRefused, match="link or a device"):
        read_names(write_tar(tmp_path / "a.tar", [entry]))


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused, match="link or a device"):
        read_names(write_zip(tmp_path / "a.zip", {"train/a/1.png": b"/etc/passwd"}, mode=0o120777))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (DatasetLimits(max_files=1), "more than 1 files"),
        (DatasetLimits(file_bytes=1 << 20), "larger than 1 MiB"),
        (DatasetLimits(total_bytes=3 << 20), "decompression bomb"),
        (DatasetLimits(path_depth=2), "nested deeper"),
    ],
)
def test_each_limit_is_enforced(tmp_path: Path, limits: DatasetLimits, message: str) -> None:
    with pytest.raises(ArchiveRefused, match=message):
        read_names(
            write_zip(
                tmp_path / "a.zip",
                {"train/a/1.png": b"\0" * (2 << 20), "train/a/2.png": b"\0" * (2 << 20)},
            ),
            limits,
        )


def test_a_small_archive_that_unpacks_to_a_large_size_is_refused(tmp_path: Path) -> None:
    bomb = write_zip(tmp_path / "a.zip", {f"train/a/{n}.png": b"\0" * (20 << 20) for n in range(5)})
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(ArchiveRefused, match="decompression bomb"):
        read_names(bomb)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 but no more"])
def test_a_file_that_is_not_an_archive_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(ArchiveUnreadable):
        read_names(path)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_cut_of_a_tar_is_detected(tmp_path: Path, mode: str) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode=mode) as archive:  # type: ignore[call-overload]
        for number in range(8):
            info = tarfile.TarInfo(f"train/a/{number}.png")
            info.size = 700
            archive.addfile(info, io.BytesIO(bytes(range(70)) * 10))
    content = whole.getvalue()
    path = tmp_path / "set.tar"
    path.write_bytes(content)
    assert len(read_names(path)) == 8
    data_end = 8 * (512 + 1024) if mode == "w" else len(content)
    for length in range(512, data_end, 512 if mode == "w" else max(1, len(content) // 20)):
        path.write_bytes(content[:length])
        with pytest.raises(ArchiveUnreadable):
            read_names(path)


def test_a_tar_followed_by_another_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.tar"
    path.write_bytes(tar_bytes({"train/a/1.png": b"x"}) + tar_bytes({"train/b/1.png": b"y"}))
    with pytest.raises(ArchiveUnreadable, match="followed by more data"):
        read_names(path)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_truncated_archive_is_unreadable(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("zip"):
        write_zip(path, {f"train/a/{n}.png": bytes(range(256)) * 40 for n in range(50)})
    else:
        write_tar(
            path, [tarfile.TarInfo(f"train/a/{n}.png") for n in range(500)], bytes(range(256)) * 40
        )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ArchiveUnreadable):
        read_names(path)
