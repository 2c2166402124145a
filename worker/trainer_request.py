"""Prepares an attempt: provides its input files and builds the trainer's request."""

import logging
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from dlkd_core.catalog.architectures.transformers_networks import is_transformers_network
from dlkd_core.spec import DistillationSpec
from registry.attempts.claims import Claim
from registry.errors import StoredFileMissing
from registry.inputs import input_roles
from registry.jobs.job_enums import JobKind
from registry.jobs.queue_names import QueueName
from registry.storage.object_store import Store
from worker import hardware
from worker.context import WorkerContext
from worker.protocol import DistillRequest, ImportCheckRequest, TrainerRequest, UploadCheckRequest
from worker.teacher_cache_files import assign_cache_file

_log = logging.getLogger(__name__)
INPUT_CACHE_FOLDER = "cache"
_FILE_SUFFIX = re.compile(r"(?:\.[a-z0-9]{1,16}){1,2}$")
_cache_lock = Lock()  # the slots of a worker share the cache


def build_request(
    context: WorkerContext, claim: Claim, directory: Path, slots: Sequence[int]
) -> TrainerRequest:
    """Place the claim's input files in the attempt's directory and build the trainer's request."""
    inputs_dir = directory / "inputs"
    inputs_dir.mkdir(parents=True)
    files = {
        role: _place_file(context, input_info, inputs_dir)
        for role, input_info in claim.inputs.items()
        if input_info and "digest" in input_info
    }
    base_fields: dict[str, Any] = {
        "directory": directory,
        "silence_seconds": context.settings.lease_seconds / 2,
    }
    if claim.kind == JobKind.DISTILL:
        base_fields |= _select_device(context, claim, slots)
        return DistillRequest(
            **base_fields,
            spec=_build_spec(claim, files),
            resume_from=_fetch_checkpoint(context.store, claim, inputs_dir),
            teacher_cache=assign_cache_file(context, claim, directory, base_fields.get("gpu", "")),
        )
    base_fields["memory_bytes"] = hardware.trainer_memory_bytes(context.settings)
    if claim.kind == JobKind.CHECK_MODEL:
        model_files = [
            {"name": name, "format": claim.inputs[name]["format"], "path": path}
            for name, path in sorted(files.items())
        ]
        return ImportCheckRequest.model_validate(
            {
                **base_fields,
                "import_report": claim.inputs[input_roles.REPORT_ROLE],
                "files": model_files,
            }
        )
    ((role, path),) = files.items()
    stated = {
        name: claim.inputs[role].get(name) for name in ("architecture", "num_classes", "output")
    }
    return UploadCheckRequest.model_validate(
        {**base_fields, **stated, "kind": claim.kind, "path": path}
    )


def _select_device(context: WorkerContext, claim: Claim, slots: Sequence[int]) -> dict[str, Any]:
    # CUDA reserves far more address space than it uses, so its processes have no memory limit.
    if context.gpu_count and claim.queue != QueueName.TRAIN_CPU:
        return {"gpu": ",".join(str(slot % context.gpu_count) for slot in slots)}
    return {"memory_bytes": hardware.trainer_memory_bytes(context.settings)}


def _build_spec(claim: Claim, files: dict[str, Path]) -> DistillationSpec:
    spec = {
        **claim.spec,
        "dataset": _build_dataset(claim.spec["dataset"], files["dataset"]),
        "evaluation": _build_evaluation(claim, files),
    }
    if spec.get("teacher"):
        spec["teacher"] = _build_teacher(
            claim.inputs["teacher"], spec["teacher"], files.get("teacher")
        )
    return DistillationSpec.model_validate(spec)


def _build_evaluation(claim: Claim, files: dict[str, Path]) -> list[dict[str, Any]]:
    protocols = [dict(protocol) for protocol in claim.spec.get("evaluation", ())]
    for index, protocol in enumerate(protocols):
        if "dataset" in protocol:
            protocol["dataset"] = _build_dataset(
                protocol["dataset"], files[input_roles.protocol_role(index)]
            )
    return protocols


def _build_dataset(requested: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the dataset spec for the core. In reports, the dataset's id serves as its title."""
    return {
        **{name: value for name, value in requested.items() if name != "id"},
        "title": requested["id"],
        "path": path,
    }


def _build_teacher(
    recognized: dict[str, Any], requested: dict[str, Any], path: Path | None
) -> dict[str, Any]:
    """Build the teacher spec for the core from the results of the check and the job's request.

    The architecture is left to the run if the check has found several and the job requests none,
    and if the file itself defines a network that is not in the catalog.
    """
    options = {name: requested.get(name) for name in ("normalization", "class_map", "features")}
    if path is None:
        return {**options, "pretrained": recognized["pretrained"]}
    is_ambiguous = bool(recognized.get("alternatives"))
    found = recognized["architecture"]
    is_left = is_ambiguous or is_transformers_network(found or "")
    return {
        **options,
        "path": path,
        "architecture": requested.get("architecture") or (None if is_left else found),
        "options": {} if is_ambiguous else recognized.get("options") or {},
        "normalization": options["normalization"] or recognized.get("normalization"),
    }


def _fetch_checkpoint(store: Store, claim: Claim, inputs_dir: Path) -> Path | None:
    if claim.resume_from is None:
        return None
    path = inputs_dir / "resume.pt"
    try:
        store.fetch_key(claim.resume_from, path)
    except StoredFileMissing:  # for example after restoring an older backup of the store
        _log.warning(
            "Checkpoint %s is missing; the job restarts from the beginning", claim.resume_from
        )
        return None
    return path


def _place_file(context: WorkerContext, input_info: dict[str, Any], inputs_dir: Path) -> Path:
    """Link or fetch a file under a safe name that keeps only the extension of the original name."""
    path = inputs_dir / f"{len(list(inputs_dir.iterdir()))}{_file_suffix(input_info['filename'])}"
    local = context.store.local_path(input_info["digest"])
    if local is not None:
        path.symlink_to(local)
    else:
        _fetch_file(context, input_info["digest"], path)
    return path


def _file_suffix(filename: str) -> str:
    match = _FILE_SUFFIX.search(filename.lower())
    return match.group() if match else ""


def _fetch_file(context: WorkerContext, digest: str, path: Path) -> None:
    """Link the file from this worker's cache, or fetch it and add it to the cache."""
    cached = context.scratch / INPUT_CACHE_FOLDER / digest
    try:
        os.link(cached, path)
        os.utime(path)
    except FileNotFoundError:
        context.store.fetch_to(digest, path)
        with _cache_lock:
            _add_to_cache(path, cached, context.settings.cache_bytes)


def _add_to_cache(path: Path, cached: Path, max_bytes: int) -> None:
    """Add a file to the cache and evict the least recently used files.

    Attempts that use an evicted file keep their own hard links to it.
    """
    cached.parent.mkdir(exist_ok=True)
    with suppress(FileExistsError):  # another slot fetched the same file
        os.link(path, cached)
    files = sorted(cached.parent.iterdir(), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > max_bytes:
            file.unlink()


def remove_directory(directory: Path) -> None:
    """Remove an attempt's directory if it exists."""
    shutil.rmtree(directory, ignore_errors=True)
