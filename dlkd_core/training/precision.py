"""Numeric precision of the forward passes.

Losses, gradients, weights and exported files stay in float32.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dlkd_core.errors import SpecError
from dlkd_core.network_outputs import ForwardFn, Outputs
from dlkd_core.training_spec import PrecisionName

_DTYPES = {PrecisionName.BFLOAT16: torch.bfloat16, PrecisionName.FLOAT16: torch.float16}


@dataclass(frozen=True)
class Precision:
    """The precision of forward passes on a device. It is float32 if `dtype` is None."""

    device: str = "cpu"
    dtype: torch.dtype | None = None

    @property
    def name(self) -> str:
        """Name of the precision in the spec."""
        return str(self.dtype or torch.float32).removeprefix("torch.")

    def wrap_forward(self, forward: ForwardFn) -> ForwardFn:
        """Return the forward pass under autocast, with outputs cast back to float32."""
        if self.dtype is None:
            return forward

        def autocast_forward(images: Tensor) -> Outputs:
            with torch.autocast(self.device, dtype=self.dtype):
                outputs = forward(images)
            return Outputs(
                outputs.logits.float(),
                outputs.features.float(),
                tuple(feature_map.float() for feature_map in outputs.feature_maps),
            )

        return autocast_forward

    def make_grad_scaler(self) -> torch.amp.GradScaler:
        """Return a gradient scaler, which is enabled only for float16."""
        return torch.amp.GradScaler(self.device, enabled=self.dtype is torch.float16)


FLOAT32 = Precision()


def pick_precision(requested: PrecisionName, device: torch.device) -> Precision:
    """Return the precision of a run on a device.

    Raises:
        SpecError: The device does not support the precision natively.
    """
    name = resolve_precision(requested, device.type, native_bfloat16=_supports_bfloat16(device))
    return Precision(device.type, _DTYPES.get(name))


def resolve_precision(
    requested: PrecisionName, device: str, *, native_bfloat16: bool
) -> PrecisionName:
    """Resolve `auto` to bfloat16 on a GPU with native support and to float32 elsewhere.

    Raises:
        SpecError: The precision would be emulated, which is many times slower.
    """
    is_gpu = device == "cuda"
    if requested == PrecisionName.AUTO:
        return PrecisionName.BFLOAT16 if is_gpu and native_bfloat16 else PrecisionName.FLOAT32
    if requested == PrecisionName.BFLOAT16 and not native_bfloat16:
        raise _unsupported(
            f"This {'GPU' if is_gpu else 'CPU'} does not support bfloat16 natively. Emulating it"
            " would be many times slower."
        )
    if requested == PrecisionName.FLOAT16 and not is_gpu:
        raise _unsupported("float16 needs a GPU, and this run is on the CPU.")
    return requested


def _unsupported(message: str) -> SpecError:
    return SpecError(
        message,
        hint='Set training.precision to "auto" or "float32".',
        pointer="/training/precision",
    )


def _supports_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: Mapping[str, Any] = torch.cpu.get_capabilities()
    # "bf16" is the name on Arm
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
