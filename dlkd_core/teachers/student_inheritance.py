"""Initialization of a student with the weights of its teacher (`student.init: teacher`)."""

from dlkd_core.errors import WeightsDoNotFit
from dlkd_core.models.inherited_weights import InheritedWeights, copy_weights, is_same_class
from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.models.network import Network
from dlkd_core.models.student_init import ImageShape, complete_options
from dlkd_core.spec import StudentInit, StudentSpec
from dlkd_core.teachers.loading import NetworkSource
from dlkd_core.teachers.verified_teacher import VerifiedTeacher

_POINTER = "/student/init"


def preview_inheritance(
    student: StudentSpec, shape: ImageShape, teacher: VerifiedTeacher | None
) -> InheritedWeights | None:
    """Return what the student will inherit, or None if it does not start with these weights.

    No student is initialized.

    Raises:
        WeightsDoNotFit: See `inherit_weights`.
    """
    if teacher is None or student.init != StudentInit.TEACHER:
        return None
    options = complete_options(student, shape)
    network = build_meta_network(student.architecture, len(teacher.classes), options)
    return inherit_weights(network, student.architecture, teacher)


def inherit_weights(
    network: Network, architecture: str, teacher: VerifiedTeacher
) -> InheritedWeights:
    """Copy the teacher's weights into the student's network where they fit.

    The classifier is inherited for the classes of the dataset, if the teacher has one.

    Raises:
        WeightsDoNotFit: The teacher is an ONNX graph or of another family, or no layer fits.
    """
    loaded = teacher.loaded
    if not isinstance(loaded.source, NetworkSource):
        raise WeightsDoNotFit(
            "The teacher is an ONNX graph, and students cannot inherit the weights of a graph.",
            pointer=_POINTER,
        )
    if not is_same_class(network, loaded.source.network):
        raise WeightsDoNotFit(
            f"{architecture} cannot inherit the weights of {loaded.title}, which belongs to"
            " another family of networks.",
            pointer=_POINTER,
        )
    inherited = copy_weights(network, loaded.source.network, _list_classes(teacher))
    if not inherited.tensors:
        raise WeightsDoNotFit(
            f"{architecture} cannot inherit the weights of {loaded.title}, because no layer fits.",
            pointer=_POINTER,
        )
    return inherited


def _list_classes(teacher: VerifiedTeacher) -> tuple[int, ...] | None:
    if not teacher.loaded.num_classes:
        return None
    return teacher.class_map or tuple(range(teacher.loaded.num_classes))
