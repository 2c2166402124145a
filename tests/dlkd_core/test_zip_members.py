import stat
from zipfile import ZipInfo

import pytest

from dlkd_core.zip_members import find_member_problem


def make_member(mode: int, flag_bits: int = 0) -> ZipInfo:
    member = ZipInfo("image.png")
    member.external_attr = mode << 16
    member.flag_bits = flag_bits
    return member


@pytest.mark.parametrize("mode", [0, stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755])
def test_regular_files_and_folders_have_no_problem(mode: int) -> None:
    assert find_member_problem(make_member(mode)) is None


@pytest.mark.parametrize("file_type", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
def test_links_and_devices_are_named(file_type: int) -> None:
    assert find_member_problem(make_member(file_type | 0o644)) == "is a link or a device"


def test_encrypted_members_are_named() -> None:
    assert find_member_problem(make_member(stat.S_IFREG, flag_bits=1)) == "is encrypted"
