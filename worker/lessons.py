"""What teachers answered before, kept for the next job that shows the same teacher the same images: a file for each two of them.

A worker's own, beside its inputs, and within a budget: the longest unused files make room, those that an attempt uses stay.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from threading import Lock

from registry.claims import Claim
from worker.kit import Kit
from worker.wire import Lessons

FOLDER = "lessons"
_USED = "lessons"  # a link in the directory of the attempt that uses a file
_room = Lock()  # the slots of a worker share the budget


def lessons_of(kit: Kit, claim: Claim, directory: Path, gpu: str) -> Lessons | None:
    """Where the attempt in `directory` finds and keeps its teacher's answers; None where it has no teacher, or a GPU.

    A GPU answers faster than its answers can be looked up.
    """
    limit, teacher = kit.settings.teacher_cache_bytes, claim.inputs.get("teacher")
    if not limit or not teacher or gpu:
        return None
    folder = kit.scratch / FOLDER
    folder.mkdir(exist_ok=True)
    file = folder / f"{_name(claim)}.sqlite"
    with _room:
        (directory / _USED).symlink_to(file)
        file.touch()
        others = _make_room(folder, {link.readlink() for link in kit.scratch.glob(f"*/{_USED}") if link.is_symlink()}, limit // 2)
    return Lessons(file=file, budget=max(0, limit - others))


def _name(claim: Claim) -> str:
    teacher, dataset = claim.inputs["teacher"], claim.inputs["dataset"]
    return sha256(f"{teacher.get('digest') or teacher.get('pretrained')} {dataset['digest']}".encode()).hexdigest()


def _make_room(folder: Path, used: Iterable[Path], limit: int) -> int:
    """Removes the longest unused files until no more than `limit` bytes are left beside those in use; returns the bytes left."""
    held, left = set(used), 0
    for file in sorted(folder.glob("*.sqlite"), key=lambda file: file.stat().st_mtime_ns, reverse=True):
        parts = [part for part in folder.glob(f"{file.name}*") if part.exists()]
        size = sum(part.stat().st_size for part in parts)
        if file in held:
            left += size
        elif left + size > limit:
            for part in parts:
                part.unlink()
        else:
            left += size
    return left
