"""Bundles of models from elsewhere: an archive of a stranger, believed only where its manifest and its bytes agree.

Nothing is unpacked under a name of the archive's, and nothing in it is run: the weights are judged by the trainer that learns
from them, as every teacher is.
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

from dlkd_core.bundle import MANIFEST, REPORT
from dlkd_core.card import card, config
from dlkd_core.catalog import EXPORTERS
from dlkd_core.frozen import Frozen
from dlkd_core.spec import Normalization
from registry.db import finite
from registry.store import CHUNK
from registry.upload_errors import BundleCorrupt, BundleInvalid

T = TypeVar("T", bound=BaseModel)
_TEXT_BYTES = 16 * 2**20  # of the manifest, the report, the card
_RATIO, _RATIO_MATTERS_ABOVE = 200, 64 * 2**20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
_Share = Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)]
_Number = Annotated[float | None, Field(ge=0, allow_inf_nan=False)]


class BundledFile(Frozen):
    """A file as the manifest tells it; what has a `format` belongs to the model, the rest tells about it."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    size: int = Field(ge=0, le=2**62)
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    format: str | None = None
    top1: _Share = None
    latency_ms: _Number = None


class Named(Frozen):
    """What the model was called where it comes from."""

    name: str = Field("", max_length=1000)
    version: int | None = None


class Manifest(Frozen):
    """What the bundle holds."""

    format: Literal["dlkd-bundle/1"]
    model: Named
    files: list[BundledFile] = Field(min_length=1, max_length=64)


class _Loose(BaseModel):
    model_config = ConfigDict(extra="allow", protected_namespaces=())


class _Worth(_Loose):
    """The numbers that are compared and shown."""

    top1: _Share = None
    top5: _Share = None
    knn_top1: _Share = None
    agreement: _Share = None
    ece: _Number = None
    nll: _Number = None
    parameters: int | None = Field(None, ge=0)
    macs: int | None = Field(None, ge=0)
    latency_ms: _Number = None
    throughput: _Number = None
    per_class: list[_Share] | None = None


class _Metrics(_Loose):
    student: _Worth
    teacher: _Worth | None = None


class _Image(_Loose):
    height: int = Field(ge=1)
    width: int = Field(ge=1)


class _Report(_Loose):
    architecture: str = Field(min_length=1, max_length=255)
    options: dict[str, Any] = {}
    parameters: int = Field(ge=0, le=2**62)
    classes: list[str] = Field(max_length=1_000_000)
    image: _Image
    normalization: Normalization | None = None
    metrics: _Metrics
    lineage: dict[str, Any]


class Bundle:
    """An open bundle whose texts are right; its files are believed when they are read."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest, report: dict[str, Any]) -> None:
        self._archive = archive
        self.manifest = manifest
        self.report = report

    @property
    def files(self) -> list[BundledFile]:
        """The model's own."""
        return [file for file in self.manifest.files if file.format is not None]

    def read(self, file: BundledFile) -> Iterator[bytes]:
        """The bytes in pieces. `BundleCorrupt` after the last one where they are not those of the manifest."""
        return _pieces(self._archive, file)


@contextmanager
def opened(path: Path, *, limit: int) -> Iterator[Bundle]:
    """The bundle at `path`, which unpacks to `limit` bytes at most.

    Raises:
        BundleInvalid: no zip, members that none may have, or a manifest or report that does not fit.
        BundleCorrupt: a text is not the one that the manifest names.
    """
    with _InPieces(path) as file, _unpacked(file) as archive:
        _check_members(archive, path.stat().st_size, limit)
        manifest = _manifest(archive)
        texts = {file.name: b"".join(_pieces(archive, file)) for file in manifest.files if file.format is None}
        yield Bundle(archive, manifest, _report(texts.get(REPORT), manifest))


class _InPieces(io.FileIO):
    """A file of which nobody reads much at once: a directory of many gigabytes ends here, not in memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        position = self.tell()
        left = self.seek(0, io.SEEK_END) - position
        self.seek(position)
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > CHUNK:
            raise zipfile.BadZipFile("its directory is too large")
        return super().read(wanted) or b""


def _unpacked(file: io.FileIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except _BROKEN as error:
        raise BundleInvalid(f"The archive cannot be read: {error}") from error


def _check_members(archive: zipfile.ZipFile, packed: int, limit: int) -> None:
    found = archive.infolist()
    if len({info.filename for info in found}) < len(found):
        raise BundleInvalid("The archive holds a name twice.")
    for info in found:
        kind = info.external_attr >> 28  # the file type of a Unix mode; 0 where the packer wrote none
        if info.is_dir() or kind not in {0, 0o10} or info.flag_bits & 1:
            raise BundleInvalid(f"{info.filename!r} is not a plain file.")
    total = sum(info.file_size for info in found)
    if total > limit or total > max(_RATIO_MATTERS_ABOVE, packed * _RATIO):
        raise BundleInvalid(f"The archive unpacks to {total} bytes from {packed}, which is too much.", hint="")


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    held = set(archive.namelist())
    if MANIFEST not in held:
        raise BundleInvalid(f"The archive has no {MANIFEST}.")
    manifest, _ = _fitting(Manifest, MANIFEST, _text(archive, archive.getinfo(MANIFEST).file_size))
    told = [file.name for file in manifest.files]
    if len(set(told)) < len(told) or {*told, MANIFEST} != held:
        raise BundleInvalid(f"The archive holds other files than its {MANIFEST} names.")
    for file in manifest.files:
        if file.format is None and file.size > _TEXT_BYTES:
            raise BundleInvalid(f"{file.name} is too long for a text.")
        if file.format is not None and file.format not in EXPORTERS:
            raise BundleInvalid(f"{file.name} is of a format that this service does not know: {file.format!r}.")
    if not any(file.format for file in manifest.files):
        raise BundleInvalid("The bundle holds no file of a model.")
    return manifest


def _text(archive: zipfile.ZipFile, size: int) -> bytes:
    if size > _TEXT_BYTES:
        raise BundleInvalid(f"{MANIFEST} is too long for a text.")
    try:
        return archive.read(MANIFEST)
    except _BROKEN as error:
        raise BundleInvalid(f"{MANIFEST} cannot be read: {error}") from error


def _report(text: bytes | None, manifest: Manifest) -> dict[str, Any]:
    """The report as it was written, once it is known that all that is shown of a model can be made of it."""
    if text is None:
        raise BundleInvalid(f"The archive has no {REPORT}.")
    _, report = _fitting(_Report, REPORT, text)
    try:
        card(report, [file for file in manifest.files if file.format], manifest.model.name)
        config(report)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleInvalid(f"{REPORT} is no report of a model: {error!r}") from error
    return report


def _fitting(kind: type[T], name: str, text: bytes) -> tuple[T, dict[str, Any]]:
    """The JSON, and the same as it was written."""
    try:
        value = finite(from_json(text))
        return kind.model_validate_json(to_json(value), strict=True), value
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BundleInvalid(f"{name}: {where}: {first['msg']}") from error
    except ValueError as error:
        raise BundleInvalid(f"{name} is no JSON: {error}") from error


def _pieces(archive: zipfile.ZipFile, file: BundledFile) -> Iterator[bytes]:
    digest, seen = sha256(), 0
    try:
        with archive.open(file.name) as member:
            while piece := member.read(CHUNK // 2):
                seen += len(piece)
                if seen > file.size:
                    break
                digest.update(piece)
                yield piece
    except _BROKEN as error:
        raise BundleInvalid(f"{file.name} cannot be read: {error}") from error
    if seen != file.size or digest.hexdigest() != file.sha256:
        raise BundleCorrupt(f"{file.name} is not the file that {MANIFEST} names: it was cut off or changed.")
