"""The device of a run."""

import torch


def pick_device(place: int = 0) -> torch.device:
    """The GPU of the process that has that place on this machine (from 0, shared where there are fewer); otherwise the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", place % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def describe(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"
