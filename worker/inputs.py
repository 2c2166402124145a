"""The files of an attempt: brought from the store, kept by digest, and named in the trainer's request."""

import logging
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from dlkd_core.spec import DistillationSpec
from registry import roles
from registry.claims import Claim
from registry.errors import FileMissing
from registry.offers import CPU
from registry.store import Store
from worker import inventory
from worker.kit import Kit
from worker.lessons import lessons_of
from worker.wire import Check, Distill, Request, Trial

_log = logging.getLogger(__name__)
_ENDING = re.compile(r"(?:\.[a-z0-9]{1,16}){1,2}$")
_cache = Lock()  # the slots of a worker share it


def prepare(kit: Kit, claim: Claim, directory: Path, slots: Sequence[int]) -> Request:
    """Lays the inputs of the claim into the attempt's directory and writes the trainer's request."""
    given = directory / "inputs"
    given.mkdir(parents=True)
    files = {role: _place(kit, facts, given) for role, facts in claim.inputs.items() if facts and "digest" in facts}
    place: dict[str, Any] = {"directory": directory, "silence_seconds": kit.settings.lease_seconds / 2}
    if claim.kind == "distill":
        place |= _device(kit, claim, slots)
        lessons = lessons_of(kit, claim, directory, place.get("gpu", ""))
        return Distill(**place, spec=_spec(claim, files), resume_from=_resume(kit.store, claim, given), lessons=lessons)
    if claim.kind == "check_model":
        given_files = [
            {"name": name, "format": claim.inputs[name]["format"], "path": path} for name, path in sorted(files.items())
        ]
        memory = inventory.trainer_memory(kit.settings)
        return Trial.model_validate({**place, "told": claim.inputs["report"], "files": given_files, "memory_bytes": memory})
    ((role, path),) = files.items()
    told = {name: claim.inputs[role].get(name) for name in ("architecture", "num_classes")}
    return Check.model_validate(
        {**place, **told, "kind": claim.kind, "path": path, "memory_bytes": inventory.trainer_memory(kit.settings)}
    )


def _device(kit: Kit, claim: Claim, slots: Sequence[int]) -> dict[str, Any]:
    if kit.gpus and claim.queue != CPU:  # CUDA reserves far more address space than it uses: no limit can be put on that
        return {"gpu": ",".join(str(slot % kit.gpus) for slot in slots)}
    return {"memory_bytes": inventory.trainer_memory(kit.settings)}


def _spec(claim: Claim, files: dict[str, Path]) -> DistillationSpec:
    spec = {**claim.spec, "dataset": _images(claim.spec["dataset"], files["dataset"]), "evaluation": _protocols(claim, files)}
    if spec.get("teacher"):
        spec["teacher"] = _teacher(claim.inputs["teacher"], spec["teacher"], files.get("teacher"))
    return DistillationSpec.model_validate(spec)


def _protocols(claim: Claim, files: dict[str, Path]) -> list[dict[str, Any]]:
    asked = [dict(protocol) for protocol in claim.spec.get("evaluation", ())]
    for place, protocol in enumerate(asked):
        if "dataset" in protocol:
            protocol["dataset"] = _images(protocol["dataset"], files[roles.of_protocol(place)])
    return asked


def _images(asked: dict[str, Any], path: Path) -> dict[str, Any]:
    """The id becomes the title: of the service's data sets reports know no other name."""
    return {**{name: value for name, value in asked.items() if name != "id"}, "title": asked["id"], "path": path}


def _teacher(found: dict[str, Any], asked: dict[str, Any], path: Path | None) -> dict[str, Any]:
    """As the trainer takes it: what was found of an upload, what the client says, and its file where it has one."""
    told = {name: asked.get(name) for name in ("normalization", "class_map", "features")}
    if path is None:
        return {**told, "pretrained": found["pretrained"]}
    return {
        **told,
        "path": path,
        "architecture": asked.get("architecture") or found["architecture"],
        "options": found.get("options") or {},
        "normalization": told["normalization"] or found.get("normalization"),
    }


def _resume(store: Store, claim: Claim, given: Path) -> Path | None:
    if claim.resume_from is None:
        return None
    path = given / "resume.pt"
    try:
        store.fetch_key(claim.resume_from, path)
    except FileMissing:  # as after a restore from a copy that was made a little earlier
        _log.warning("the checkpoint %s is gone: the job starts from its beginning", claim.resume_from)
        return None
    return path


def _place(kit: Kit, facts: dict[str, Any], given: Path) -> Path:
    """The file under the ending that it came with; its own name is not to be trusted."""
    path = given / f"{len(list(given.iterdir()))}{_ending(facts['filename'])}"
    local = kit.store.local_path(facts["digest"])
    if local is not None:
        path.symlink_to(local)
    else:
        _fetch(kit, facts["digest"], path)
    return path


def _ending(filename: str) -> str:
    found = _ENDING.search(filename.lower())
    return found.group() if found else ""


def _fetch(kit: Kit, digest: str, path: Path) -> None:
    """Links the file from this worker's cache, or fetches it and leaves a link there."""
    cached = kit.scratch / "cache" / digest
    try:
        os.link(cached, path)
        os.utime(path)
    except FileNotFoundError:
        kit.store.fetch_to(digest, path)
        with _cache:
            _keep(path, cached, kit.settings.cache_bytes)


def _keep(path: Path, cached: Path, limit: int) -> None:
    """The longest unused files make room; attempts that use them have links of their own."""
    cached.parent.mkdir(exist_ok=True)
    with suppress(FileExistsError):  # another slot fetched the same
        os.link(path, cached)
    used = 0
    for file in sorted(cached.parent.iterdir(), key=lambda file: file.stat().st_mtime_ns, reverse=True):
        used += file.stat().st_size
        if used > limit:
            file.unlink()


def clear(directory: Path) -> None:
    """Removes an attempt's directory."""
    shutil.rmtree(directory, ignore_errors=True)
