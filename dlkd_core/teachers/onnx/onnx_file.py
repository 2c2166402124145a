"""Reads ONNX files, and zip archives of an ONNX file with the files that hold its weights."""

import tempfile
from pathlib import Path, PurePosixPath
from zipfile import ZipFile, is_zipfile

import onnx
from google.protobuf.message import DecodeError

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.zip_members import ZIP_ERRORS, find_member_problem

MAX_MODEL_BYTES = 2**31 - 1  # limit of protobuf, and thus of a session that is created from bytes
_EXTERNAL = onnx.TensorProto.EXTERNAL


def find_zipped_graph(path: Path) -> str | None:
    """Return the name of the ONNX file in a zip archive, or None if there is none.

    Raises:
        CheckpointRefused: The archive holds several ONNX files.
    """
    if not is_zipfile(path):
        return None
    try:
        with ZipFile(path) as archive:
            names = [name for name in archive.namelist() if _is_graph(name)]
    except ZIP_ERRORS:
        return None  # damaged: the reader of PyTorch archives says how
    if len(names) > 1:
        raise CheckpointRefused(
            f"The archive holds {len(names)} ONNX files: {', '.join(sorted(names)[:5])}.",
            hint="Send an archive with one ONNX file and the files that hold its weights.",
        )
    return names[0] if names else None


def read_onnx_model(path: Path) -> onnx.ModelProto:
    """Read a model with all its weights from an ONNX file or a zip archive.

    Raises:
        CheckpointUnreadable: The file is not an ONNX model or is damaged.
        CheckpointRefused: The weights are in a file that is not in the archive, or the model is too
            large.
    """
    graph_name = find_zipped_graph(path)
    if graph_name is None:
        model = _parse_model(path)
        if _has_external_weights(model):
            raise CheckpointRefused(
                "The ONNX model keeps its weights in another file.",
                hint="Send a zip archive of both files, or save the model as a single file:"
                " onnx.save(onnx.load(...), path).",
            )
        return model
    with tempfile.TemporaryDirectory() as folder:
        _extract(path, Path(folder))
        model = _parse_model(Path(folder, graph_name))
        try:
            onnx.load_external_data_for_model(model, str(Path(folder, graph_name).parent))
        except (OSError, ValueError, onnx.checker.ValidationError) as error:
            reason = str(error).partition("\n")[0]
            raise CheckpointRefused(
                f"The weights of {graph_name} cannot be read: {reason}.",
                hint="Add the files that hold the weights to the archive, in the same folder.",
            ) from error
    return model


def _is_graph(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() == ".onnx" and "__MACOSX" not in name


def _extract(path: Path, folder: Path) -> None:
    """Extract the files of an archive, none of which can be outside the folder."""
    try:
        with ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            size = sum(member.file_size for member in members)
            if size > MAX_MODEL_BYTES:
                raise _too_large_error(size)
            for member in members:
                problem = find_member_problem(member)
                if problem:
                    raise CheckpointRefused(f"{member.filename} {problem}.")
                archive.extract(member, folder)  # removes drives, leading slashes and ".."
    except ZIP_ERRORS as error:
        raise CheckpointUnreadable(f"The archive cannot be read: {error}.") from error


def _parse_model(path: Path) -> onnx.ModelProto:
    if path.stat().st_size > MAX_MODEL_BYTES:
        raise _too_large_error(path.stat().st_size)
    try:
        return onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise CheckpointUnreadable(
            "The file starts like an ONNX model but cannot be read to the end."
        ) from error


def _has_external_weights(model: onnx.ModelProto) -> bool:
    return any(tensor.data_location == _EXTERNAL for tensor in model.graph.initializer)


def _too_large_error(size: int) -> CheckpointRefused:
    return CheckpointRefused(
        f"The ONNX model takes {size >> 20} MiB, more than the limit of {MAX_MODEL_BYTES >> 20}"
        " MiB.",
        hint="Send the weights as a safetensors file, or convert them to float16.",
    )
