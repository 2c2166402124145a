"""Tests that the service computes the same as the networks exported by docs/teachers.md.

A recipe runs with this interpreter if its packages are installed, and otherwise with one of those
that the environment variable `DLKD_RECIPES_PYTHON` names, separated by colons.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from dlkd_core.spec import Normalization
from dlkd_core.teachers.loading import load_teacher_file
from tests.docs.code_blocks import DOCS, code_blocks

RECIPES = {block.title: block.text for block in code_blocks(DOCS / "teachers.md", "python")}
PACKAGES = {
    "torch": ("torch", "onnxscript"),
    "timm": ("timm", "onnxscript"),
    "transformers": ("transformers", "onnxscript"),
    "keras": ("keras", "tensorflow", "tf2onnx"),
    "tensorflow": ("tensorflow", "tf2onnx"),
    "jax": ("flax", "jax2onnx"),
    "flax": ("flax", "jax2onnx"),
}
# Code that makes what a recipe loads
PREPARATIONS = {
    "transformers": """
from transformers import ViTConfig, ViTForImageClassification
sizes = {"hidden_size": 32, "intermediate_size": 64, "image_size": 32, "patch_size": 8}
config = ViTConfig(num_hidden_layers=2, num_attention_heads=2, num_labels=10, **sizes)
ViTForImageClassification(config).save_pretrained("my_model")
"""
}
TORCH_OUTPUT = "network(torch.from_numpy(images).permute(0, 3, 1, 2))"
# The output of the network for `images`, (N, H, W, C) in [0, 1]
OUTPUTS = {
    "torch": f"{TORCH_OUTPUT}.detach()",
    "timm": f"{TORCH_OUTPUT}.detach()",
    "transformers": f"{TORCH_OUTPUT}.logits.detach()",
    "keras": "network(images, training=False)",
    "tensorflow": "network(images)",
    "jax": "network(images)",
    "flax": "network(images)",
}
COMPARISON = """
import numpy
images = numpy.random.default_rng(0).random((5, 32, 32, 3), dtype="float32")
numpy.savez("outputs.npz", images=images, outputs=numpy.asarray({output}))
"""


@cache
def has_packages(python: str, packages: tuple[str, ...]) -> bool:
    find = f"from importlib.util import find_spec; assert all(map(find_spec, {packages}))"
    return subprocess.run([python, "-c", find], capture_output=True, check=False).returncode == 0


def find_python(recipe: str) -> str:
    """Return an interpreter that has the packages of a recipe, or skip the test."""
    others = filter(None, os.environ.get("DLKD_RECIPES_PYTHON", "").split(os.pathsep))
    for python in (sys.executable, *others):
        if has_packages(python, PACKAGES[recipe]):
            return python
    pytest.skip(f"DLKD_RECIPES_PYTHON names no interpreter with {', '.join(PACKAGES[recipe])}")


def test_every_recipe_is_run() -> None:
    assert RECIPES.keys() - {""} == PACKAGES.keys() == OUTPUTS.keys()


@pytest.mark.e2e  # slow, because every recipe starts a process that imports large libraries
@pytest.mark.parametrize("recipe", PACKAGES)
def test_exported_network_computes_the_same(tmp_path: Path, recipe: str) -> None:
    comparison = COMPARISON.format(output=OUTPUTS[recipe])
    script = "\n".join([PREPARATIONS.get(recipe, ""), RECIPES[recipe], comparison])
    (tmp_path / "recipe.py").write_text(script)
    command = [find_python(recipe), "recipe.py"]
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr

    teacher = load_teacher_file(tmp_path / "teacher.onnx")
    assert (teacher.num_classes, teacher.channels) == (10, 3)
    identity = Normalization(mean=(0, 0, 0), std=(1, 1, 1))
    extractor = teacher.source.build_extractor(identity, torch.device("cpu"))
    with np.load(tmp_path / "outputs.npz") as saved:
        images = torch.from_numpy(saved["images"]).permute(0, 3, 1, 2)
        expected = torch.from_numpy(saved["outputs"])
    has_softmax = torch.allclose(expected.sum(1), torch.ones(len(expected)))
    expected = expected.log() if has_softmax else expected
    logits = extractor(images).logits
    actual = logits.log_softmax(1) if has_softmax else logits
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-4)
