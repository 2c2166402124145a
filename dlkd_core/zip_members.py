"""Validation of zip members, shared by all readers of untrusted archives.

This module is torch-free.
"""

import stat
from zipfile import ZipInfo

_ENCRYPTED_FLAG = 1
_UNIX_MODE_SHIFT = 16


def find_member_problem(member: ZipInfo) -> str | None:
    """Return the reason why a zip member must not be read, such as "is encrypted", or None.

    Only regular files and folders may be read. Members without a Unix file type count as regular
    files.
    """
    file_type = stat.S_IFMT(member.external_attr >> _UNIX_MODE_SHIFT)
    if file_type not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "is a link or a device"
    if member.flag_bits & _ENCRYPTED_FLAG:
        return "is encrypted"
    return None
