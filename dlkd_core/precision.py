"""The arithmetic of the forward passes. Losses, gradients, weights and everything that is exported stay float32."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dlkd_core.errors import SpecError
from dlkd_core.outputs import Outputs
from dlkd_core.training_spec import PrecisionName

Forward = Callable[[Tensor], Outputs]
_TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """Of one device; without a type everything is float32."""

    device: str = "cpu"
    dtype: torch.dtype | None = None

    @property
    def name(self) -> str:
        """As in the spec."""
        return str(self.dtype or torch.float32).removeprefix("torch.")

    def wrap(self, forward: Forward) -> Forward:
        """The same forward pass under autocast, its outputs float32 again."""
        if self.dtype is None:
            return forward

        def cast(images: Tensor) -> Outputs:
            with torch.autocast(self.device, dtype=self.dtype):
                outputs = forward(images)
            return Outputs(outputs.logits.float(), outputs.features.float(), tuple(one.float() for one in outputs.maps))

        return cast

    def scaler(self) -> torch.amp.GradScaler:
        """Scales float16's loss so that small gradients are not lost; does nothing in the other types."""
        return torch.amp.GradScaler(self.device, enabled=self.dtype is torch.float16)


FLOAT32 = Precision()


def pick_precision(wanted: PrecisionName, device: torch.device) -> Precision:
    """The precision of a run on this device.

    Raises:
        SpecError: one that the device does not do itself.
    """
    name = decide(wanted, device.type, native_bfloat16=_native_bfloat16(device))
    return Precision(device.type, _TYPES.get(name))


def decide(wanted: PrecisionName, device: str, *, native_bfloat16: bool) -> PrecisionName:
    """`wanted`, with auto resolved: bfloat16 on a GPU that does it itself, float32 elsewhere.

    Raises:
        SpecError: a precision that would only be emulated, many times slower.
    """
    if wanted == "auto":
        return "bfloat16" if device == "cuda" and native_bfloat16 else "float32"
    if wanted == "bfloat16" and not native_bfloat16:
        raise _refused(f"This {_word(device)} does not compute in bfloat16; it would be emulated.")
    if wanted == "float16" and device != "cuda":
        raise _refused("float16 is for GPUs; this run is on the CPU.")
    return wanted


def _refused(message: str) -> SpecError:
    return SpecError(message, hint='Set training.precision to "auto" or "float32".', pointer="/training/precision")


def _word(device: str) -> str:
    return "GPU" if device == "cuda" else "CPU"


def _native_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able: Mapping[str, Any] = torch.cpu.get_capabilities()
    return any(bool(able.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # the last is Arm's
