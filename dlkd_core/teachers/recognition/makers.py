"""Libraries whose networks are not in the catalog, recognized by the names of their weights."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_ONNX_HINT = (
    "Name the architecture if it is in the catalog (GET /v1/catalog or `dlkd catalog`), or export"
    " the network to ONNX and upload the ONNX file."
)


@dataclass(frozen=True)
class Maker:
    """A library, how to recognize its weights, and how to export its networks to ONNX."""

    title: str
    pattern: re.Pattern[str]
    hint: str


_MAKERS = (
    Maker(
        "Hugging Face transformers",
        re.compile(
            r"attention\.(attention|self)\.(query|key|value)\.|\.convolution\.weight$"
            r"|(^|\.)embeddings\.(patch_embeddings?|cls_token|position_embeddings)"
            r"|^(poolformer|swiftformer|mobilevitv2|textnet|cvt)\."
        ),
        "The weights alone do not say how the network computes. Zip the folder that save_pretrained"
        " has written (config.json, model.safetensors and, if there is one,"
        " preprocessor_config.json), and upload the zip archive. Or export the network to ONNX with"
        " `optimum-cli export onnx --model FOLDER --task image-classification OUT` (the package"
        " optimum), and upload OUT/model.onnx.",
    ),
    Maker(
        "Ultralytics YOLO",
        re.compile(r"^\d+\.(conv\.weight|cv\d\.conv\.weight|m\.\d+\.cv\d\.conv\.weight)$"),
        "Export it with `yolo export model=best.pt format=onnx`, and upload the ONNX file.",
    ),
    Maker(
        "CLIP (OpenAI or OpenCLIP)",
        re.compile(r"(^|\.)transformer\.resblocks\.\d+\."),
        "Export the image tower with its classifier to ONNX, and upload the ONNX file; or use the"
        " same network from timm, such as timm/vit_base_patch16_clip_224.",
    ),
)


def find_maker(names: Iterable[str]) -> Maker | None:
    """Return the library whose networks have weights of these names, or None."""
    listed = list(names)
    return next(
        (maker for maker in _MAKERS if any(maker.pattern.search(name) for name in listed)), None
    )


def suggest_onnx(maker: Maker | None) -> str:
    """Return the hint for a network that is not in the catalog."""
    return maker.hint if maker else _ONNX_HINT
