"""Small random networks of transformers, saved as people have them: a zip of the folder."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import torch
import transformers

CLASSES = 4
_TOKENS = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
_STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
# Class of transformers and arguments of its configuration
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet": (
        "ResNetForImageClassification",
        {**_STAGES, "embedding_size": 8, "layer_type": "basic"},
    ),
    "regnet": (
        "RegNetForImageClassification",
        {**_STAGES, "embedding_size": 8, "groups_width": 8},
    ),
    "convnextv2": ("ConvNextV2ForImageClassification", _STAGES),
    "mobilenet_v2": (
        "MobileNetV2ForImageClassification",
        {"depth_multiplier": 0.35, "image_size": 64},
    ),
    "efficientnet": (
        "EfficientNetForImageClassification",
        {"width_coefficient": 0.25, "depth_coefficient": 0.25, "hidden_dim": 320, "image_size": 64},
    ),
    "mobilevit": (
        "MobileViTForImageClassification",
        {"hidden_sizes": [8, 16, 24], "neck_hidden_sizes": [8, 8, 8, 16, 16, 16, 32]},
    ),
    "segformer": (
        "SegformerForImageClassification",
        {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "image_size": 64},
    ),
    "siglip": ("SiglipForImageClassification", {"vision_config": _TOKENS}),
    "vit": ("ViTForImageClassification", _TOKENS),
    "deit": ("DeiTForImageClassificationWithTeacher", _TOKENS),
    "beit": ("BeitForImageClassification", {**_TOKENS, "use_relative_position_bias": True}),
    "dinov2": ("Dinov2ForImageClassification", _TOKENS),
    "dinov2_with_registers": ("Dinov2WithRegistersForImageClassification", _TOKENS),
    "swin": (
        "SwinForImageClassification",
        {
            "embed_dim": 8,
            "depths": [1, 1],
            "num_heads": [1, 2],
            "image_size": 32,
            "window_size": 4,
        },
    ),
    "levit": (
        "LevitForImageClassificationWithTeacher",
        {
            "image_size": 64,
            "hidden_sizes": [16, 24, 32],
            "num_attention_heads": [2, 2, 2],
            "depths": [1, 1, 1],
            "key_dim": [8, 8, 8],
        },
    ),
}


def build_network(name: str, **options: Any) -> Any:
    """Build a network, with random values also where transformers starts with zeros."""
    class_name, arguments = NETWORKS[name]
    network_class = getattr(transformers, class_name)
    config = network_class.config_class(**{"num_labels": CLASSES, **arguments, **options})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = network_class(config).eval()
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)
    return network


def save_files(network: Any, folder: Path) -> dict[str, bytes]:
    """Save a network with `save_pretrained`, and return the files by name."""
    network.save_pretrained(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a compressed zip archive."""
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def edit_config(files: Mapping[str, bytes], **changes: Any) -> dict[str, bytes]:
    """Return the files with other entries in config.json."""
    config = {**json.loads(files["config.json"]), **changes}
    return {**files, "config.json": json.dumps(config).encode()}


def as_torch_file(network: Any) -> bytes:
    """Return what older versions wrote to pytorch_model.bin."""
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    return buffer.getvalue()
