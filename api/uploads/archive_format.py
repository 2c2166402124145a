"""Detection of the archive format of an uploaded dataset from its first bytes."""

import tarfile
import zlib
from contextlib import suppress

from dlkd_core.errors import ArchiveUnreadable

_BLOCK_SIZE = tarfile.BLOCKSIZE


def sniff_archive(head: bytes) -> str:
    """Return the format of an archive: `zip`, `tar` or `tar.gz`.

    `head` must contain at least the first KiB of the file.

    Raises:
        ArchiveUnreadable: The file has another format, or is an empty archive.
    """
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.startswith(b"\x1f\x8b"):
        with suppress(zlib.error):
            if _is_tar(zlib.decompressobj(wbits=31).decompress(head, _BLOCK_SIZE)):
                return "tar.gz"
    elif _is_tar(head):
        return "tar"
    raise ArchiveUnreadable(
        "The file is not a zip or tar archive, or the archive is empty.", pointer="/file"
    )


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head[:_BLOCK_SIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
