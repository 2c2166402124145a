"""Manages files that cache teacher outputs for later jobs with the same teacher and dataset.

Each worker keeps its own files within a size limit. The least recently used files are evicted
first. Files that an attempt is using are not evicted.
"""

from collections.abc import Collection
from hashlib import sha256
from pathlib import Path
from threading import Lock

from registry.attempts.claims import Claim
from worker.context import WorkerContext
from worker.protocol import TeacherCacheSpec

CACHE_FOLDER = "teacher_cache"
_LINK_NAME = "teacher_cache"  # an attempt's link to the file that it uses
_lock = Lock()  # the slots of a worker share the size limit


def assign_cache_file(
    context: WorkerContext, claim: Claim, directory: Path, gpu: str
) -> TeacherCacheSpec | None:
    """Return the cache file for the attempt in `directory`, or None to use no cache.

    No cache is used if it is turned off, if the job has no teacher, or if the job runs on a GPU,
    which computes outputs faster than they can be looked up.
    """
    max_bytes, teacher = context.settings.teacher_cache_bytes, claim.inputs.get("teacher")
    if not max_bytes or not teacher or gpu:
        return None
    folder = context.scratch / CACHE_FOLDER
    folder.mkdir(exist_ok=True)
    file = folder / f"{_cache_key(claim)}.sqlite"
    with _lock:
        (directory / _LINK_NAME).symlink_to(file)
        file.touch()
        links = context.scratch.glob(f"*/{_LINK_NAME}")
        in_use = {link.readlink() for link in links if link.is_symlink()}
        kept_bytes = _evict(folder, in_use, max_bytes // 2)
    return TeacherCacheSpec(file=file, max_bytes=max(0, max_bytes - kept_bytes))


def _cache_key(claim: Claim) -> str:
    teacher, dataset = claim.inputs["teacher"], claim.inputs["dataset"]
    teacher_id = teacher.get("digest") or teacher.get("pretrained")
    return sha256(f"{teacher_id} {dataset['digest']}".encode()).hexdigest()


def _evict(folder: Path, in_use: Collection[Path], max_bytes: int) -> int:
    """Remove the least recently used files until at most `max_bytes` remain.

    Files in use are never removed, even if the limit is exceeded. Returns the number of bytes that
    remain.
    """
    kept_bytes = 0
    files = folder.glob("*.sqlite")
    for file in sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True):
        parts = [part for part in folder.glob(f"{file.name}*") if part.exists()]
        size = sum(part.stat().st_size for part in parts)
        if file not in in_use and kept_bytes + size > max_bytes:
            for part in parts:
                part.unlink()
        else:
            kept_bytes += size
    return kept_bytes
