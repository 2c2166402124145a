"""Choice of the network for a checkpoint whose weights fit several networks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from dlkd_core.errors import ImagesDoNotFit, TeacherAtChance
from dlkd_core.teachers.loading import LoadedTeacher, load_teacher_file
from dlkd_core.teachers.normalization import choose_best
from dlkd_core.teachers.verification import Verification

# Verifies a loaded teacher on the evaluation split.
VerifyFn = Callable[[LoadedTeacher], Verification]
# Returns how much the stored statistics of a network differ from those of the training images, or
# None if it has none.
MismatchFn = Callable[[LoadedTeacher, Verification], float | None]
# A network is chosen by its statistics if those of every other differ this many times as much.
_MIN_RATIO = 1.1


@dataclass(frozen=True)
class ChosenNetwork:
    """The network that was chosen and its verification.

    Attributes:
        loaded: The loaded network.
        verification: Results on the evaluation split.
        losses: Mean loss of each network on the same sample of the evaluation images, by name.
    """

    loaded: LoadedTeacher
    verification: Verification
    losses: dict[str, float]


def choose_network(
    loaded: LoadedTeacher, path: Path, verify: VerifyFn, mismatch: MismatchFn
) -> ChosenNetwork:
    """Verify every network that the weights in a file fit, and choose the best.

    This is the network whose batch normalizations see the statistics that they have stored. Without
    such statistics, it is the first network unless the losses of another are clearly better.

    Raises:
        TeacherError: No network passes. The error is that of the first one.
    """
    verifications: dict[str, Verification] = {}
    mismatches: dict[str, float | None] = {}
    failures: list[ImagesDoNotFit | TeacherAtChance] = []
    for name in (loaded.title, *loaded.alternatives):
        try:
            network = _load_as(loaded, name, path)
            verifications[name] = verify(network)
            mismatches[name] = mismatch(network, verifications[name])
        except (ImagesDoNotFit, TeacherAtChance) as error:
            failures.append(error)
    if not verifications:
        raise failures[0]
    losses = {name: verification.sample_losses for name, verification in verifications.items()}
    name = _choose_by_statistics(mismatches) or choose_best(losses)
    means = {title: values.double().mean().item() for title, values in losses.items()}
    # Loaded again, so that only one network is in memory at a time.
    chosen = _load_as(loaded, name, path)
    notices = (*loaded.notices, _describe_choice(name, means, losses[name]))
    return ChosenNetwork(replace(chosen, notices=notices), verifications[name], means)


def _choose_by_statistics(mismatches: Mapping[str, float | None]) -> str | None:
    """Return the network whose statistics clearly fit best, or None if there is none."""
    known = {name: value for name, value in mismatches.items() if value is not None}
    if len(known) < len(mismatches):
        return None
    best, *others = sorted(known, key=lambda name: known[name])
    is_clear = all(known[name] > _MIN_RATIO * known[best] for name in others)
    return best if is_clear else None


def _load_as(loaded: LoadedTeacher, name: str, path: Path) -> LoadedTeacher:
    if name == loaded.architecture:
        return loaded
    return load_teacher_file(path, architecture=name)


def _describe_choice(chosen: str, means: Mapping[str, float], losses: Tensor) -> str:
    others = {name: mean for name, mean in means.items() if name != chosen}
    notice = (
        f"The teacher is used as {chosen}. Its mean loss on {len(losses)} evaluation images is"
        f" {means[chosen]:.4g}"
    )
    if not others:
        return f"{notice}. The other networks are no better than guessing."
    listed = ", ".join(f"{mean:.4g} as {name}" for name, mean in others.items())
    return f"{notice}. It would be {listed}."
