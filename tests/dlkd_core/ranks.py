"""Steps in float64 and a few words, by as many processes as torchrun starts: `torchrun ... ranks.py folder method...`."""

import sys
from collections.abc import Generator
from pathlib import Path

import torch
from torch import Tensor

from dlkd_core.distributed import World, joined
from dlkd_core.errors import SpecError
from dlkd_core.outputs import Outputs
from dlkd_core.shares import learnt_in_shares
from dlkd_core.step import Stepper
from tests.dlkd_core.loop import CLASSES, PROJECTION, new_run

IMAGES = 7  # no multiple of two or three


def teacher(images: Tensor) -> Outputs:
    """That of the loop, in float64."""
    features = images.flatten(1) @ PROJECTION.double()
    return Outputs(features[:, :CLASSES], features, (images,))


def step_of(method: str, world: World, folder: Path, images: int = IMAGES, parts: int = 1, steps: int = 1) -> dict[str, Tensor]:
    """Loss, terms, gradients and, after the step, weights and buffers of a run's first step, or of the last of several."""
    run = new_run(folder, method, batch_size=images, learning_rate=0.01)
    student, objective = run.state.student.double().train(), run.state.objective.double().train()
    stepper, found = Stepper(run.state, student, teacher, parts, world), dict[str, Tensor]()
    for batch, targets in run.batches.from_step(0, steps):
        found = dict(returned(stepper(batch.double(), targets)))
    for name, module in (("student", student), ("objective", objective)):
        found |= {f"{name}.{key}.grad": one.grad for key, one in module.named_parameters() if one.grad is not None}
        found |= {f"{name}.{key}": one.detach().clone() for key, one in module.state_dict().items()}
    return found


def returned(work: Generator[object, None, dict[str, Tensor]]) -> dict[str, Tensor]:
    """What a step gives, which has nothing to tell on its way."""
    try:
        next(work)
    except StopIteration as end:
        return dict(end.value)
    raise AssertionError("a step that tells something")


def words(world: World) -> dict[str, object]:
    """What this process got to know of the others."""
    torch.manual_seed(0)
    noise = learnt_in_shares(lambda images: Outputs(torch.rand(len(images), 8), torch.rand(len(images), 1), ()), world)
    drawn = noise(torch.zeros(2 * world.size, 3, 4, 4)).logits  # as a dropout would
    world.check("the same")
    try:
        world.check(f"of rank {world.rank}")
    except SpecError as error:
        refused = error.message
    return {
        "clock": world.clock(),
        "agreed": world.agree(world.rank + 5),
        "drawn": drawn,
        "next": torch.rand(1),
        "refused": refused,
    }


def parts_without_memory(world: World, folder: Path) -> int:
    """Into how many parts the batch was to come when the memory had run out, and the step had failed."""
    run = new_run(folder)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    run.state.student.network.get_submodule("conv1").register_forward_hook(full)
    try:
        list(Stepper(run.state, run.state.student, run.teacher, 1, world)(*next(iter(run.batches.from_step(0, 1)))))
    except torch.OutOfMemoryError:
        return run.state.progress.parts
    raise AssertionError("a step without memory")


if __name__ == "__main__":
    with joined() as here:
        out = Path(sys.argv[1])
        steps = {method: step_of(method, here, out) for method in sys.argv[2:]}
        steps["fewer"] = step_of("dlkd", here, out, images=2)
        steps["parts"] = step_of("kd", here, out, parts=3)
        steps |= {f"later {method}": step_of(method, here, out, steps=6) for method in ("crd", "dlkd")}
        told = {**words(here), "parts": parts_without_memory(here, out)}
    torch.save({"steps": steps, "words": told}, out / f"rank{here.rank}.pt")
