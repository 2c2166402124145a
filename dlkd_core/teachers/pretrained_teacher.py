"""Teachers with pretrained weights, loaded by name instead of from a file."""

from hashlib import sha256

from dlkd_core.catalog import find_architecture
from dlkd_core.data.dataset import ImageDataset
from dlkd_core.models import pretrained_weights
from dlkd_core.spec import TeacherFile
from dlkd_core.teachers.loading import LoadedTeacher, NetworkSource
from dlkd_core.teachers.output_check import check_outputs


def load_pretrained_teacher(teacher: TeacherFile, data: ImageDataset) -> LoadedTeacher:
    """Load the pretrained network `teacher.pretrained` for the dataset's image size.

    If its number of classes differs from the dataset's and there is no class_map, the classifier is
    dropped and only the features are used.

    Raises:
        WeightsUnavailable: The weights are not in the cache and cannot be downloaded.
        UnknownChoice: See `pretrained_weights.load_pretrained`.
        SpecError: See `pretrained_weights.load_pretrained`.
    """
    name = teacher.pretrained or ""
    options = find_architecture(name).with_image_size(teacher.options, data.image_size)
    pretrained = pretrained_weights.load_pretrained(name, options, pointer="/teacher/pretrained")
    network, num_classes = pretrained.network, pretrained.num_classes
    network.module.eval().requires_grad_(requires_grad=False)
    has_other_classes = (
        bool(data.classes) and num_classes != len(data.classes) and teacher.class_map is None
    )
    headless = has_other_classes or not num_classes
    notices = (_headless_notice(name, num_classes, len(data.classes)),) if headless else ()
    check_outputs(network, name, options, 0 if headless else num_classes)
    source = NetworkSource(network, headless=headless)
    return LoadedTeacher(
        source=source,
        format="pretrained",
        architecture=name,
        options=options,
        num_classes=0 if headless else num_classes,
        parameters=source.parameters,
        notices=notices,
        normalization=pretrained.normalization,
    )


def weights_digest(loaded: LoadedTeacher) -> str:
    """Return the SHA-256 of the weights' names, shapes and values, in hexadecimal."""
    digest = sha256()
    if isinstance(loaded.source, NetworkSource):
        for name, tensor in sorted(loaded.source.network.module.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _headless_notice(name: str, num_classes: int, data_classes: int) -> str:
    if not num_classes:
        return f"The pretrained {name} has no classifier. The student learns from its features."
    return (
        f"The pretrained {name} has {num_classes} classes, but the dataset has {data_classes}. "
        "The teacher's classifier is ignored, and the student learns from its features. "
        "Set class_map to use the classifier."
    )
