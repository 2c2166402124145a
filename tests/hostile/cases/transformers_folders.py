"""Folders of transformers: a config.json that asks for too much, runs code or is damaged."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from tests.hostile.case import READY, Case

_REFUSED, _UNREADABLE = "checkpoint_refused", "checkpoint_unreadable"
_UNKNOWN, _NO_FIT = "architecture_unknown", "keys_do_not_fit"
_BAD = (_REFUSED, _NO_FIT)
# A ResNet with one block, without values that only training gives
_CONFIG: dict[str, Any] = {
    "architectures": ["ResNetForImageClassification"],
    "model_type": "resnet",
    "embedding_size": 8,
    "hidden_sizes": [8],
    "depths": [1],
    "layer_type": "basic",
    "id2label": {"0": "cat", "1": "dog"},
    "label2id": {"cat": 0, "dog": 1},
}
_VIT = {
    "model_type": "vit",
    "architectures": ["ViTForImageClassification"],
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 8,
    "image_size": 32,
    "patch_size": 8,
}


def cases() -> Iterator[Case]:
    yield from _sizes()
    yield from _configs()
    yield from _code()
    yield from _archives()


def _case(
    name: str, content: bytes | Callable[[Path], object], *outcomes: str, mentions: str = ""
) -> Case:
    return Case(
        "transformers",
        name,
        "network.zip",
        content,
        outcomes,
        mentions,
        "check_teacher",
        is_slow=True,  # transformers takes seconds to import
    )


def _weights() -> bytes:
    random = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"classifier.1.weight": (2, 8), "classifier.1.bias": (2,)}
    layers = {
        "embedder.embedder": (8, 3, 7),
        "encoder.stages.0.layers.0.layer.0": (8, 8, 3),
        "encoder.stages.0.layers.0.layer.1": (8, 8, 3),
    }
    for layer, (outputs, inputs, side) in layers.items():
        name = f"resnet.{layer}"
        shapes[f"{name}.convolution.weight"] = (outputs, inputs, side, side)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.normalization.{part}"] = (outputs,)
    return save({name: random.random(shape, np.float32) for name, shape in shapes.items()})


def _zip(
    config: Mapping[str, Any] | bytes,
    weights: bytes | None = None,
    *,
    more: Mapping[str, bytes] | None = None,
) -> bytes:
    text = config if isinstance(config, bytes) else json.dumps(config).encode()
    files = {"config.json": text, "model.safetensors": weights or _weights(), **(more or {})}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"network/{name}", content)
    return buffer.getvalue()


def _sizes() -> Iterator[Case]:
    yield _case("valid", _zip(_CONFIG), READY)
    changes: dict[str, Any] = {
        "hidden-sizes-billions": {"hidden_sizes": [10**9]},
        "hidden-sizes-a-million": {"hidden_sizes": [10**6]},
        "hidden-sizes-negative": {"hidden_sizes": [-8]},
        "hidden-sizes-text": {"hidden_sizes": ["8"]},
        "hidden-sizes-nan": {"hidden_sizes": [float("nan")]},
        "depths-billions": {"depths": [10**9]},
        "depths-a-million": {"depths": [10**6]},
        "depths-10000": {"depths": [10**4]},
        "depths-long": {"depths": [1] * 100_000, "hidden_sizes": [8] * 100_000},
        "depths-500": {"depths": [1] * 500, "hidden_sizes": [8] * 500},
        "channels-billions": {"num_channels": 10**9},
        "channels-0": {"num_channels": 0},
        "channels-5": {"num_channels": 5},
        "embedding-huge": {"embedding_size": 2**62},
        "embedding-a-million": {"embedding_size": 10**6},
        "labels-other": {"id2label": {str(index): str(index) for index in range(100_000)}},
        "labels-text": {"id2label": "cat"},
        "labels-negative": {"num_labels": -1, "id2label": None},
    }
    for name, change in changes.items():
        yield _case(name, _zip({**_CONFIG, **change}), *_BAD)
    tokens: dict[str, Any] = {
        "hidden-size-billions": {"hidden_size": 10**9},
        "hidden-size-a-million": {"hidden_size": 10**6, "intermediate_size": 10**6},
        "layers-billions": {"num_hidden_layers": 10**9},
        "layers-a-million": {"num_hidden_layers": 10**6},
        "heads-0": {"num_attention_heads": 0},
        "image-size-billions": {"image_size": 10**9},
        "image-size-1024-patch-1": {"image_size": 1024, "patch_size": 1},
        "patch-0": {"patch_size": 0},
        "patch-negative": {"patch_size": -8},
    }
    for name, change in tokens.items():
        yield _case(f"vit-{name}", _zip({**_VIT, **change}), *_BAD)
    levit = {"model_type": "levit", "image_size": 1024}
    for stride in (1, 0, -2, "a"):
        yield _case(f"levit-stride-{stride}", _zip({**levit, "stride": stride}), *_BAD)
    yield _case("levit-padding-huge", _zip({**levit, "padding": 10**6}), *_BAD)
    swin = {"model_type": "swin", "image_size": 1024, "window_size": 10**6}
    yield _case("swin-window-a-million", _zip(swin), *_BAD)
    yield _case("swin-window-2000", _zip({**swin, "window_size": 2000}), *_BAD)


def _configs() -> Iterator[Case]:
    contents: dict[str, bytes] = {
        "empty": b"",
        "not-json": b"hello",
        "list": b"[]",
        "number": b"1",
        "cut": json.dumps(_CONFIG).encode()[:40],
        "not-text": b"\xff\xfe\x00",
        "nested": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    }
    for name, content in contents.items():
        yield _case(f"config-{name}", _zip(content), _UNREADABLE)
    deep: Any = 1
    for _ in range(50):
        deep = {"a": deep}
    yield _case("config-50-levels", _zip({**_CONFIG, "extra": deep}), _REFUSED)
    yield _case("config-many-entries", _zip({**_CONFIG, "a": list(range(10_000))}), _REFUSED)
    long = {**_CONFIG, "hidden_act": "x" * 1_000_000}
    yield _case("config-long-text", _zip(long), *_BAD)
    large = {**_CONFIG, "text": "x" * 20_000_000}
    yield _case("config-20-megabytes", _zip(large), _REFUSED, mentions="config.json")
    for kind in ("", "nonsense", "bert", "llama", "imagegpt", "perceiver", "../../etc/passwd", 7):
        yield _case(
            f"type-{kind!r}"[:30].replace("/", "_"),
            _zip({**_CONFIG, "model_type": kind}),
            _REFUSED,
            _UNKNOWN,
        )
    for value in (None, "ViTForImageClassification", [1], ["os.system"], {"a": 1}):
        yield _case(f"architectures-{value}", _zip({**_CONFIG, "architectures": value}), READY)


def _code() -> Iterator[Case]:
    entries: dict[str, Any] = {
        "auto_map": {"AutoModelForImageClassification": "evil.Network"},
        "_attn_implementation": "somebody/kernels",
        "attn_implementation": "somebody/kernels",
        "quantization_config": {"quant_method": "bitsandbytes"},
        "_name_or_path": "somebody/network",
        "torch_dtype": "nonsense",
        "dtype": "float16",
        "_commit_hash": "1",
        "backbone": "somebody/network",
        "use_pretrained_backbone": True,
    }
    code = {"evil.py": b"raise SystemExit(1)"}
    for name, value in entries.items():
        yield _case(f"entry-{name}", _zip({**_CONFIG, name: value}, more=code), READY)
    unknown = {**_CONFIG, "model_type": "own", "auto_map": {"AutoConfig": "evil.Config"}}
    yield _case("code-of-its-own", _zip(unknown, more=code), _REFUSED, mentions="never run")
    acts = {**_CONFIG, "hidden_act": "__import__('os').system('touch /tmp/evil')"}
    yield _case("activation-of-code", _zip(acts), _REFUSED)


def _archives() -> Iterator[Case]:
    bomb = b"\x08" + b"\x00" * 7 + b"{       " + b"\x00" * 300_000_000
    yield _case("weights-bomb", lambda path: path.write_bytes(_zip(_CONFIG, bomb)), _REFUSED)
    yield _case("weights-text", _zip(_CONFIG, b"hello"), _UNREADABLE)
    yield _case("weights-cut", _zip(_CONFIG, _weights()[:-10]), _UNREADABLE)
    preprocessors: dict[str, Any] = {
        "mean-text": {"image_mean": "a", "image_std": "b"},
        "std-0": {"image_mean": [0, 0, 0], "image_std": [0, 0, 0]},
        "std-nan": {"image_mean": [0, 0, 0], "image_std": [float("nan")] * 3},
        "scale-0": {"image_mean": [0, 0, 0], "image_std": [1, 1, 1], "rescale_factor": 0},
        "mean-long": {"image_mean": [0] * 100_000, "image_std": [1] * 100_000},
        "huge": {"image_mean": [10**400] * 3, "image_std": [1, 1, 1]},
        "size-huge": {"size": 10**9},
        "size-text": {"size": {"height": "a"}},
    }
    for name, values in preprocessors.items():
        more = {"preprocessor_config.json": json.dumps(values).encode()}
        yield _case(f"preprocessor-{name}", _zip(_CONFIG, more=more), READY)
    damaged = {"preprocessor_config.json": b"hello"}
    yield _case("preprocessor-not-json", _zip(_CONFIG, more=damaged), _UNREADABLE)
