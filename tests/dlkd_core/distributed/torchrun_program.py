"""Program for torchrun that takes training steps in float64 and saves each process's results.

Usage: `torchrun ... torchrun_program.py FOLDER METHOD...`
"""

import sys
from collections.abc import Generator
from pathlib import Path

import torch
from torch import Tensor

from dlkd_core.distributed.data_parallel import parallelize_student
from dlkd_core.distributed.process_group import World, join_process_group
from dlkd_core.errors import SpecError
from dlkd_core.network_outputs import Outputs
from dlkd_core.training.step import TrainingStep
from tests.dlkd_core.training.small_run import CLASSES, PROJECTION, make_run

IMAGES = 7  # not divisible by 2 or 3, the numbers of processes


def teacher(images: Tensor) -> Outputs:
    """Compute the outputs of `small_run.teacher` in float64."""
    features = images.flatten(1) @ PROJECTION.double()
    return Outputs(features[:, :CLASSES], features, (images,))


def run_step(
    method: str,
    world: World,
    folder: Path,
    images: int = IMAGES,
    micro_batches: int = 1,
    steps: int = 1,
) -> dict[str, Tensor]:
    """Take the first `steps` steps of a run and return the results of the last one.

    The results are the loss, the loss terms, the gradients, and the weights and buffers after the
    step.
    """
    run = make_run(folder, method, batch_size=images, learning_rate=0.01)
    student, objective = run.state.student.double().train(), run.state.objective.double().train()
    make_step = TrainingStep(run.state, student, teacher, micro_batches, world=world)
    results = dict[str, Tensor]()
    for batch, targets in run.batches.iterate(0, steps):
        results = dict(get_return_value(make_step(batch.double(), targets)))
    for name, module in (("student", student), ("objective", objective)):
        for key, parameter in module.named_parameters():
            if parameter.grad is not None:
                results[f"{name}.{key}.grad"] = parameter.grad
        for key, tensor in module.state_dict().items():
            results[f"{name}.{key}"] = tensor.detach().clone()
    return results


def get_return_value(
    step_events: Generator[object, None, dict[str, Tensor]],
) -> dict[str, Tensor]:
    """Run a training step and return its result. Fail if the step yields an event."""
    try:
        next(step_events)
    except StopIteration as end:
        return dict(end.value)
    raise AssertionError("the step yielded an event")


def collect_rank_facts(world: World) -> dict[str, object]:
    """Return the results that collective operations give in this process."""
    torch.manual_seed(0)
    noise = parallelize_student(
        lambda images: Outputs(torch.rand(len(images), 8), torch.rand(len(images), 1), ()), world
    )
    # this network draws random numbers in the forward pass, as dropout does
    random_rows = noise(torch.zeros(2 * world.size, 3, 4, 4)).logits
    world.check_same_inputs("the same")
    try:
        world.check_same_inputs(f"rank {world.rank}")
    except SpecError as error:
        inputs_error = error.message
    return {
        "clock": world.clock(),
        "broadcast": world.broadcast(world.rank + 5),
        "random_rows": random_rows,
        "next_random": torch.rand(1),
        "inputs_error": inputs_error,
    }


def count_micro_batches_after_oom(world: World, folder: Path) -> int:
    """Return the number of micro-batches that is chosen when a step runs out of memory."""
    run = make_run(folder)

    def run_out_of_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    run.state.student.network.get_submodule("conv1").register_forward_hook(run_out_of_memory)
    make_step = TrainingStep(run.state, run.state.student, run.teacher, 1, world=world)
    images, targets = next(iter(run.batches.iterate(0, 1)))
    try:
        list(make_step(images, targets))
    except torch.OutOfMemoryError:
        return run.state.progress.micro_batches
    raise AssertionError("the step did not run out of memory")


if __name__ == "__main__":
    with join_process_group() as world:
        out = Path(sys.argv[1])
        steps = {method: run_step(method, world, out) for method in sys.argv[2:]}
        steps["few images"] = run_step("dlkd", world, out, images=2)
        steps["micro-batches"] = run_step("kd", world, out, micro_batches=3)
        for method in ("crd", "dlkd"):
            steps[f"later {method}"] = run_step(method, world, out, steps=6)
        facts = collect_rank_facts(world)
        facts["micro_batches"] = count_micro_batches_after_oom(world, out)
    torch.save({"steps": steps, "facts": facts}, out / f"rank{world.rank}.pt")
