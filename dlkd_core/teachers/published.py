"""A teacher whose weights its makers publish: taken by name, not from a file."""

from hashlib import sha256

from dlkd_core.catalog import find_architecture
from dlkd_core.data.packed import Packed
from dlkd_core.models import pretrained
from dlkd_core.spec import TeacherFile
from dlkd_core.teachers.load import LoadedTeacher, NetworkSource, count


def load_published(teacher: TeacherFile, data: Packed) -> LoadedTeacher:
    """The network that `teacher.pretrained` names, for images of the data's size.

    With other classes than the data and without a class_map its classifier is left out, as if it had none: its features teach.

    Raises:
        WeightsUnavailable: neither in the cache nor to be downloaded.
        UnknownChoice, SpecError: see `pretrained.bring`.
    """
    name = teacher.pretrained or ""
    options = find_architecture(name).sized(teacher.options, data.size)
    found = pretrained.bring(name, options, pointer="/teacher/pretrained")
    found.network.module.eval().requires_grad_(requires_grad=False)
    other = bool(data.classes) and found.num_classes != len(data.classes) and teacher.class_map is None
    headless = other or not found.num_classes
    return LoadedTeacher(
        NetworkSource(found.network, headless=headless),
        "pretrained",
        name,
        options,
        0 if headless else found.num_classes,
        count(found.network, headless=headless),
        (_unused(name, found.num_classes, len(data.classes)),) if headless else (),
        found.normalization,
    )


def digest_of(loaded: LoadedTeacher) -> str:
    """Of the weights themselves, in hexadecimal: names, shapes and values."""
    whole = sha256()
    if isinstance(loaded.source, NetworkSource):
        for name, tensor in sorted(loaded.source.network.module.state_dict().items()):
            whole.update(f"{name} {tuple(tensor.shape)}".encode())
            whole.update(tensor.detach().cpu().contiguous().numpy().data)
    return whole.hexdigest()


def _unused(name: str, known: int, classes: int) -> str:
    if not known:
        return f"The published {name} has no classifier: its features teach."
    return (
        f"The published {name} tells {known} classes apart and the data set has {classes}: its classifier is left out, and its "
        "features teach. Give class_map to use its classifier."
    )
