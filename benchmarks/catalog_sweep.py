"""Checks for every network in the catalog that it is recognized from its weights.

Each network gets random weights from a fixed seed, which are saved as a state dict, loaded as a
teacher and run on one image. Networks with more than 300 million parameters are only compared by
the names and shapes of their weights. The results are kept in `out/catalog/results.jsonl`, so that
a sweep that was interrupted continues. `make catalog` runs the sweep and writes its tables into
`docs/architectures.md`.
"""

import argparse
import json
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.catalog_sweep_tables import TOLERANCE, SweepResult, write_tables
from dlkd_core.catalog import ARCHITECTURES
from dlkd_core.catalog.architectures.alike_networks import find_alike_networks
from dlkd_core.catalog.architectures.parameter_counts import get_parameter_count
from dlkd_core.errors import DistillationError
from dlkd_core.models import FeatureExtractor, Network
from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.models.uninitialized_network import build_uninitialized_network
from dlkd_core.spec import Normalization
from dlkd_core.teachers.loading import TeacherSource, load_teacher_file
from dlkd_core.teachers.recognition.alike_networks_index import (
    choose_image_side,
    fill_with_random_weights,
)
from dlkd_core.teachers.recognition.fingerprints import list_variants
from dlkd_core.teachers.recognition.recognizer import recognize

RESULTS = Path("out/catalog/results.jsonl")
MAX_PARAMETERS = 300_000_000
_CLASSES = 3
_NORMALIZATION = Normalization(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def check_network(name: str) -> SweepResult:
    """Save a network with random weights, load it as a teacher and compare the outputs."""
    try:
        if is_large(name):
            return _compare_shapes(name)
        with tempfile.TemporaryDirectory() as folder:
            return _compare_outputs(name, Path(folder) / "weights.pth")
    except (DistillationError, RuntimeError) as error:
        return SweepResult(name, None, is_listed=False, difference=None, error=str(error))


def is_large(name: str) -> bool:
    """Return whether a network is too large to be run."""
    count = get_parameter_count(name, {}, _CLASSES)
    return count is not None and count.total > MAX_PARAMETERS


def _compare_shapes(name: str) -> SweepResult:
    options = list_variants(name)[0]
    state = build_meta_network(name, _CLASSES, options).module.state_dict()
    model = recognize({key: tensor.to("meta") for key, tensor in state.items()})
    is_listed = _lists(model.architecture, model.alternatives, name)
    return SweepResult(name, model.architecture, is_listed, None)


@torch.no_grad()
def _compare_outputs(name: str, path: Path) -> SweepResult:
    options, side = list_variants(name)[0], choose_image_side(name)
    network = build_uninitialized_network(name, _CLASSES, options)
    fill_with_random_weights(network)
    torch.save(network.module.state_dict(), path)
    loaded = load_teacher_file(path)
    recognized = loaded.architecture or ""
    is_listed = _lists(recognized, loaded.alternatives, name)
    if not _lists(recognized, (), name):
        loaded = load_teacher_file(path, architecture=name)
    difference = _measure_difference(network, loaded.source, side)
    return SweepResult(name, recognized, is_listed, difference)


def _measure_difference(network: Network, source: TeacherSource, side: int) -> float:
    """Return the relative difference of the logits of a network and of the teacher.

    The teacher's memory layout rounds differently. Some networks with random weights amplify this
    so much that only float64 shows whether they compute the same.
    """
    original = FeatureExtractor(network, _NORMALIZATION.mean, _NORMALIZATION.std).eval()
    loaded = source.build_extractor(_NORMALIZATION, torch.device("cpu"))
    difference = _compare(original, loaded, _image(side))
    if difference < TOLERANCE:
        return difference
    return _compare(original.double(), loaded.double(), _image(side).double())


def _compare(original: nn.Module, loaded: nn.Module, image: Tensor) -> float:
    expected: Tensor = original(image).logits
    return float((loaded(image).logits - expected).norm() / expected.norm())


def _lists(recognized: str, alternatives: Sequence[str], name: str) -> bool:
    """Return whether a network computes as the recognized one or as one of its alternatives."""
    listed = (recognized, *alternatives)
    return any(
        name in equivalents and not set(listed).isdisjoint(equivalents)
        for equivalents in find_alike_networks(recognized)
    )


def _image(side: int) -> Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1))


def read_results() -> list[SweepResult]:
    """Return the results so far."""
    if not RESULTS.exists():
        return []
    return [SweepResult(**json.loads(line)) for line in RESULTS.read_text().splitlines()]


def main() -> None:
    """Check the networks that have no result yet, the small ones first, and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", default="1/1", help="part of the catalog, such as 2/4")
    parser.add_argument("--tables", action="store_true", help="only write the tables")
    arguments = parser.parse_args()
    if not arguments.tables:
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        part, parts = map(int, arguments.part.split("/"))
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        done = {result.name for result in read_results()}
        names = [name for name in sorted(ARCHITECTURES, key=_parameters) if name not in done]
        for name in names[part - 1 :: parts]:
            result = check_network(name)
            with RESULTS.open("a") as file:
                file.write(json.dumps(asdict(result)) + "\n")
    write_tables(read_results())


def _parameters(name: str) -> int:
    count = get_parameter_count(name, {}, _CLASSES)
    return count.total if count else 0


if __name__ == "__main__":
    main()
