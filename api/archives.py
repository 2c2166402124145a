"""What the first bytes of an uploaded data set say, before the rest has come."""

import tarfile
import zlib
from contextlib import suppress

from dlkd_core.errors import ArchiveUnreadable

_BLOCK = tarfile.BLOCKSIZE


def sniff_archive(head: bytes) -> str:
    """`zip`, `tar` or `tar.gz`; `ArchiveUnreadable` where the bytes begin none of them. Takes the first KiB or more."""
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.startswith(b"\x1f\x8b"):
        with suppress(zlib.error):
            if _is_tar(zlib.decompressobj(wbits=31).decompress(head, _BLOCK)):
                return "tar.gz"
    elif _is_tar(head):
        return "tar"
    raise ArchiveUnreadable("The file is neither a zip nor a tar archive with something in it.", pointer="/file")


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head[:_BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
