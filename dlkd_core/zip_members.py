"""Validation of zip members, shared by all readers of untrusted archives.

This module is torch-free.
"""

import lzma
import stat
import struct
import zlib
from zipfile import BadZipFile, ZipInfo

# Everything that zipfile and its decompressors raise for damaged archives. RuntimeError stands for
# encrypted members, and ValueError for dates, names and sizes that cannot be decoded.
ZIP_ERRORS = (
    BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
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
