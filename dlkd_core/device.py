"""Selection and description of the device that a run uses."""

import torch


def pick_device(local_rank: int = 0) -> torch.device:
    """Select and return the GPU that this process uses, or the CPU if there is no GPU.

    Args:
        local_rank: Index of the process on this machine, from 0. Processes share GPUs if there are
            fewer GPUs than processes.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", local_rank % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def describe_device(device: torch.device) -> str:
    """Describe a device for display: a GPU by its name, a CPU by its number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"
