"""The files of an attempt: brought from the store, kept by digest, and named in the trainer's request."""

import os
import shutil
from pathlib import Path
from typing import Any

from dlkd_core.spec import DistillationSpec
from registry.artifacts import Store
from registry.claims import Claim
from worker import inventory
from worker.kit import Kit
from worker.wire import Check, Distill, Request


def prepare(kit: Kit, claim: Claim, directory: Path, slot: int) -> Request:
    """Lays the inputs of the claim into the attempt's directory and writes the trainer's request."""
    given = directory / "inputs"
    given.mkdir(parents=True)
    files = {role: _place(kit, facts, given) for role, facts in claim.inputs.items() if facts}
    place: dict[str, Any] = {"directory": directory, "silence_seconds": kit.settings.lease_seconds / 2}
    if claim.kind == "distill":
        return Distill(**place, **_device(kit, slot), spec=_spec(claim, files), resume_from=_resume(kit.store, claim, given))
    ((role, path),) = files.items()
    told = {name: claim.inputs[role].get(name) for name in ("architecture", "num_classes")}
    return Check.model_validate(
        {**place, **told, "kind": claim.kind, "path": path, "memory_bytes": inventory.trainer_memory(kit.settings)}
    )


def _device(kit: Kit, slot: int) -> dict[str, Any]:
    if kit.gpus:  # CUDA reserves far more address space than it uses: no limit can be put on that
        return {"gpu": str(slot % kit.gpus)}
    return {"memory_bytes": inventory.trainer_memory(kit.settings)}


def _spec(claim: Claim, files: dict[str, Path]) -> DistillationSpec:
    spec = {**claim.spec, "dataset": {"path": files["dataset"]}}
    if spec.get("teacher"):
        found, asked = claim.inputs["teacher"], spec["teacher"]
        spec["teacher"] = {
            "path": files["teacher"],
            "architecture": asked.get("architecture") or found["architecture"],
            "options": found.get("options") or {},
            "normalization": asked.get("normalization") or found.get("normalization"),
            "class_map": asked.get("class_map"),
        }
    return DistillationSpec.model_validate(spec)


def _resume(store: Store, claim: Claim, given: Path) -> Path | None:
    if claim.resume_from is None:
        return None
    path = given / "resume.pt"
    store.fetch_key(claim.resume_from, path)
    return path


def _place(kit: Kit, facts: dict[str, Any], given: Path) -> Path:
    """The file under the ending that it came with; its own name is not to be trusted."""
    endings = "".join(Path(facts["filename"]).suffixes[-2:]).lower()
    path = given / f"{len(list(given.iterdir()))}{endings if endings.isascii() and '/' not in endings else ''}"
    local = kit.store.local_path(facts["digest"])
    if local is not None:
        path.symlink_to(local)
    else:
        os.link(_cached(kit, facts["digest"]), path)
    return path


def _cached(kit: Kit, digest: str) -> Path:
    """The file in this worker's cache; the longest unused ones make room for it."""
    path = kit.scratch / "cache" / digest
    if path.exists():
        os.utime(path)
    else:
        kit.store.fetch_to(digest, path)
        _make_room(path.parent, kit.settings.cache_bytes, keep=path)
    return path


def _make_room(cache: Path, limit: int, *, keep: Path) -> None:
    newest_first = sorted((path for path in cache.iterdir() if path != keep), key=lambda path: path.stat().st_mtime, reverse=True)
    used = keep.stat().st_size
    for path in newest_first:
        used += path.stat().st_size
        if used > limit:
            path.unlink(missing_ok=True)  # attempts that use it have a link of their own


def clear(directory: Path) -> None:
    """Removes an attempt's directory."""
    shutil.rmtree(directory, ignore_errors=True)
