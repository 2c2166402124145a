"""Model bundles from other services: untrusted zip archives, verified against their manifest.

File names from the archive are never used as paths, and nothing in the archive is run. The trainer
that uses the weights verifies them, as it does for every teacher.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import from_json, to_json

from dlkd_core.catalog import EXPORTERS
from dlkd_core.common import FrozenModel
from dlkd_core.reporting.bundle_documents import MANIFEST_FILE, REPORT_FILE
from dlkd_core.reporting.model_card import build_config, render_model_card
from dlkd_core.spec import Normalization
from dlkd_core.zip_members import find_member_problem
from registry.db.column_types import sanitize_json
from registry.storage.object_store import CHUNK_BYTES
from registry.uploads.upload_errors import BundleCorrupt, BundleInvalid

_SchemaT = TypeVar("_SchemaT", bound=BaseModel)
_MAX_TEXT_BYTES = 16 * 2**20  # limit for the manifest, the report and the model card
_MAX_COMPRESSION_RATIO, _RATIO_CHECK_MIN_BYTES = 200, 64 * 2**20
_ZIP_READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
)
_Fraction = Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)]
_NonNegativeFloat = Annotated[float | None, Field(ge=0, allow_inf_nan=False)]


class BundleFile(FrozenModel):
    """A file that the manifest lists.

    Files with a `format` contain the model. The other files describe it.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    size: int = Field(ge=0, le=2**62)
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    format: str | None = None
    top1: _Fraction = None
    latency_ms: _NonNegativeFloat = None


class OriginalModel(FrozenModel):
    """Name and version that the model has in the service that exported it."""

    name: str = Field("", max_length=1000)
    version: int | None = None


class Manifest(FrozenModel):
    """The bundle's manifest: its files, and the origin of the model."""

    format: Literal["dlkd-bundle/1"]
    model: OriginalModel
    files: list[BundleFile] = Field(min_length=1, max_length=64)


class _PermissiveModel(BaseModel):
    model_config = ConfigDict(extra="allow", protected_namespaces=())


class _ModelMetrics(_PermissiveModel):
    """Metrics that the service displays and uses in comparisons."""

    top1: _Fraction = None
    top5: _Fraction = None
    knn_top1: _Fraction = None
    agreement: _Fraction = None
    ece: _NonNegativeFloat = None
    nll: _NonNegativeFloat = None
    parameters: int | None = Field(None, ge=0)
    macs: int | None = Field(None, ge=0)
    latency_ms: _NonNegativeFloat = None
    throughput: _NonNegativeFloat = None
    per_class: list[_Fraction] | None = None


class _BaselineMetrics(_PermissiveModel):
    """The same network trained on labels alone, as in `dlkd_core.reporting.run_report`."""

    top1: float = Field(ge=0, le=1, allow_inf_nan=False)
    images: int = Field(ge=0)
    gain: float = Field(ge=-1, le=1, allow_inf_nan=False)
    gain_interval: float = Field(ge=0, allow_inf_nan=False)


class _Metrics(_PermissiveModel):
    student: _ModelMetrics
    teacher: _ModelMetrics | None = None
    baseline: _BaselineMetrics | None = None


class _Image(_PermissiveModel):
    height: int = Field(ge=1)
    width: int = Field(ge=1)


class _Report(_PermissiveModel):
    architecture: str = Field(min_length=1, max_length=255)
    options: dict[str, Any] = {}
    parameters: int = Field(ge=0, le=2**62)
    classes: list[str] = Field(max_length=1_000_000)
    image: _Image
    normalization: Normalization | None = None
    metrics: _Metrics
    warnings: list[str] = Field([], max_length=100)
    lineage: dict[str, Any]


class Bundle:
    """An open bundle with a valid manifest and report.

    Model files are verified while they are read.
    """

    def __init__(
        self, archive: zipfile.ZipFile, manifest: Manifest, report: dict[str, Any]
    ) -> None:
        self._archive = archive
        self.manifest = manifest
        self.report = report

    @property
    def model_files(self) -> list[BundleFile]:
        return [file for file in self.manifest.files if file.format is not None]

    def read(self, file: BundleFile) -> Iterator[bytes]:
        """Yield the contents of a file in chunks.

        Raises:
            BundleCorrupt: The size or digest differs from the manifest. Raised after the last
                chunk.
        """
        return _read_chunks(self._archive, file)


@contextmanager
def open_bundle(path: Path, *, max_unpacked_bytes: int) -> Iterator[Bundle]:
    """Open a bundle whose unpacked size is at most `max_unpacked_bytes`.

    Raises:
        BundleInvalid: The file is not a zip archive, it contains forbidden members, or its manifest
            or report is invalid.
        BundleCorrupt: The report or model card does not match its digest in the manifest.
    """
    with _BoundedReader(path) as file, _open_zip(file) as archive:
        _check_members(archive, path.stat().st_size, max_unpacked_bytes)
        manifest = _read_manifest(archive)
        texts = {
            entry.name: b"".join(_read_chunks(archive, entry))
            for entry in manifest.files
            if entry.format is None
        }
        yield Bundle(archive, manifest, _parse_report(texts.get(REPORT_FILE), manifest))


class _BoundedReader(io.FileIO):
    """A file that rejects large reads, so that a huge zip directory cannot exhaust memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        position = self.tell()
        remaining = self.seek(0, io.SEEK_END) - position
        self.seek(position)
        count = remaining if size is None or size < 0 else min(size, remaining)
        if count > CHUNK_BYTES:
            raise zipfile.BadZipFile("its directory is too large")
        return super().read(count) or b""


def _open_zip(file: io.FileIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except _ZIP_READ_ERRORS as error:
        raise BundleInvalid(f"The archive cannot be read: {error}") from error


def _check_members(archive: zipfile.ZipFile, packed_bytes: int, max_unpacked_bytes: int) -> None:
    members = archive.infolist()
    if len({info.filename for info in members}) < len(members):
        raise BundleInvalid("The archive contains two files with the same name.")
    for info in members:
        problem = "is a folder" if info.is_dir() else find_member_problem(info)
        if problem is not None:
            raise BundleInvalid(f"{info.filename!r} {problem}. A bundle holds only regular files.")
    unpacked_bytes = sum(info.file_size for info in members)
    ratio_limit = max(_RATIO_CHECK_MIN_BYTES, packed_bytes * _MAX_COMPRESSION_RATIO)
    if unpacked_bytes > max_unpacked_bytes or unpacked_bytes > ratio_limit:
        raise BundleInvalid(
            f"The archive of {packed_bytes} bytes unpacks to {unpacked_bytes} bytes, which is more "
            f"than the limit of {min(max_unpacked_bytes, ratio_limit)} bytes.",
            hint="",
        )


def _read_manifest(archive: zipfile.ZipFile) -> Manifest:
    archived_names = set(archive.namelist())
    if MANIFEST_FILE not in archived_names:
        raise BundleInvalid(f"The archive has no {MANIFEST_FILE}.")
    manifest, _ = _parse_json(
        Manifest,
        MANIFEST_FILE,
        _read_manifest_bytes(archive, archive.getinfo(MANIFEST_FILE).file_size),
    )
    listed_names = [file.name for file in manifest.files]
    if (
        len(set(listed_names)) < len(listed_names)
        or {*listed_names, MANIFEST_FILE} != archived_names
    ):
        raise BundleInvalid(
            f"The archive does not contain exactly the files that {MANIFEST_FILE} lists."
        )
    for file in manifest.files:
        if file.format is None and file.size > _MAX_TEXT_BYTES:
            raise _text_too_large(file.name)
        if file.format is not None and file.format not in EXPORTERS:
            raise BundleInvalid(f"{file.name} has the unknown format {file.format!r}.")
    if not any(file.format for file in manifest.files):
        raise BundleInvalid("The bundle contains no model files.")
    return manifest


def _read_manifest_bytes(archive: zipfile.ZipFile, size: int) -> bytes:
    if size > _MAX_TEXT_BYTES:
        raise _text_too_large(MANIFEST_FILE)
    try:
        return archive.read(MANIFEST_FILE)
    except _ZIP_READ_ERRORS as error:
        raise BundleInvalid(f"{MANIFEST_FILE} cannot be read: {error}") from error


def _text_too_large(name: str) -> BundleInvalid:
    return BundleInvalid(f"{name} is larger than the limit of {_MAX_TEXT_BYTES} bytes.")


def _parse_report(text: bytes | None, manifest: Manifest) -> dict[str, Any]:
    """Return the report after verifying that the model card and config can be built from it."""
    if text is None:
        raise BundleInvalid(f"The archive has no {REPORT_FILE}.")
    _, report = _parse_json(_Report, REPORT_FILE, text)
    try:
        render_model_card(
            report, [file for file in manifest.files if file.format], manifest.model.name
        )
        build_config(report)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleInvalid(f"{REPORT_FILE} is not a valid model report: {error!r}") from error
    return report


def _parse_json(schema: type[_SchemaT], name: str, text: bytes) -> tuple[_SchemaT, dict[str, Any]]:
    """Return the validated document, and the parsed JSON with all fields, even unknown ones."""
    try:
        value = sanitize_json(from_json(text))
        return schema.model_validate_json(to_json(value), strict=True), value
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        location = ".".join(map(str, first["loc"]))
        raise BundleInvalid(f"{name}: {location}: {first['msg']}") from error
    except ValueError as error:
        raise BundleInvalid(f"{name} is not valid JSON: {error}") from error


def _read_chunks(archive: zipfile.ZipFile, file: BundleFile) -> Iterator[bytes]:
    digest, size = sha256(), 0
    try:
        with archive.open(file.name) as member:
            while chunk := member.read(CHUNK_BYTES // 2):
                size += len(chunk)
                if size > file.size:
                    break
                digest.update(chunk)
                yield chunk
    except _ZIP_READ_ERRORS as error:
        raise BundleInvalid(f"{file.name} cannot be read: {error}") from error
    if size != file.size or digest.hexdigest() != file.sha256:
        raise BundleCorrupt(
            f"{file.name} does not match {MANIFEST_FILE}. It was truncated or changed."
        )
