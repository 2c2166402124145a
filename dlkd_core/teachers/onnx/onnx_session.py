"""onnxruntime sessions, and the errors that they raise."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from dlkd_core.errors import CheckpointRefused
from dlkd_core.memory_limits import raise_if_out_of_memory

CHECK_SECONDS = 10.0  # for one batch during the check; a graph can contain a loop without end
Arrays = list[npt.NDArray[np.generic]]

_ERRORS = (
    ort_errors.EPFail,
    ort_errors.EngineError,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotFound,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    MemoryError,
    RuntimeError,
    ValueError,
)


class GraphFailed(Exception):
    """onnxruntime cannot load or run a graph. The message is the first line of its error."""


def create_session(model: onnx.ModelProto, device: torch.device) -> onnxruntime.InferenceSession:
    """Return a session for a graph, on the GPU if the installed onnxruntime supports it.

    Raises:
        GraphFailed: onnxruntime cannot load the graph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # errors are raised, and need not be printed as well
    gpu = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    providers = [
        name
        for name in [*gpu, "CPUExecutionProvider"]
        if name in onnxruntime.get_available_providers()
    ]
    with _translate_errors():
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)


def run_session(
    session: onnxruntime.InferenceSession,
    names: list[str],
    image: str,
    batch: npt.NDArray[np.generic],
    max_seconds: float | None = None,
) -> Arrays:
    """Return the tensors `names` of a graph for a batch of images.

    Raises:
        GraphFailed: The graph does not run on images of this shape.
        CheckpointRefused: The run takes longer than `max_seconds`.
    """
    options = onnxruntime.RunOptions()
    try:
        with _terminate_after(max_seconds, options), _translate_errors():
            arrays: Arrays = session.run(names, {image: batch}, options)
    except GraphFailed as error:
        if options.terminate:
            raise CheckpointRefused(
                f"The ONNX graph does not finish a batch of {len(batch)} images in"
                f" {max_seconds:g} seconds.",
                hint="Send a graph without loops, or a smaller network.",
            ) from error
        raise
    return arrays


@contextmanager
def _terminate_after(seconds: float | None, options: onnxruntime.RunOptions) -> Iterator[None]:
    """Terminate a run if it takes longer. Without a limit, no timer is made."""
    if seconds is None:
        yield
        return
    timer = Timer(seconds, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise_if_out_of_memory(error, "the ONNX graph")
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise GraphFailed(reason or type(error).__name__) from error
