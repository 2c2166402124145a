"""Errors that a run can raise, each with a stable code.

DistillationError
├── SpecError                   the spec itself
│   ├── UnknownChoice
│   ├── PackageInvalid          an installed package declares an invalid architecture
│   ├── WeightsUnavailable      pretrained weights cannot be downloaded or found in a cache
│   ├── WeightsDoNotFit         the student cannot inherit the teacher's weights
│   └── LogitsNeeded            the method needs logits, but the teacher has no classifier
├── TeacherError                the checkpoint
│   ├── CheckpointUnreadable
│   ├── CheckpointRefused       readable only by running pickled code, or with unsupported content
│   ├── ArchitectureUnknown
│   ├── KeysDoNotFit
│   ├── ClassesDoNotFit
│   ├── ImagesDoNotFit
│   ├── LibraryMissing          an optional package that reads this kind of file
│   └── TeacherAtChance
├── DatasetError                the images
│   ├── ArchiveUnreadable
│   ├── ArchiveRefused          paths outside the archive, archive bombs, links
│   ├── LayoutInvalid
│   ├── ImageUnreadable
│   └── DatasetTooLarge
├── TrainingError               the training loop
│   ├── TrainingDiverged
│   ├── OutOfMemory
│   └── CheckpointCorrupt
└── ExportError                 the exported files
    ├── ExportDisagrees
    └── ModelUnfit
"""

from typing import Any, ClassVar

from dlkd_core.common import clean_text

_MAX_MESSAGE_LENGTH = 4000  # messages may contain names from hostile files


class DistillationError(Exception):
    """An error with a stable code for programs, and a message and a hint for people.

    Args:
        message: What happened and why.
        hint: What to do next. Defaults to the class's `default_hint`.
        pointer: JSON pointer to the invalid field of the spec, if there is one.
    """

    code: ClassVar[str] = "distillation_failed"
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(
        self, message: str, *, hint: str | None = None, pointer: str | None = None
    ) -> None:
        self.message = clean_text(message, _MAX_MESSAGE_LENGTH)
        super().__init__(self.message)
        self.hint = self.default_hint if hint is None else hint
        self.pointer = pointer

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain data for job rows, problem documents and the terminal."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
        }


class SpecError(DistillationError):
    code = "spec_invalid"


class UnknownChoice(SpecError):
    code = "unknown_choice"
    default_hint = "See GET /v1/catalog or `dlkd catalog` for all names."


class PackageInvalid(SpecError):
    code = "package_invalid"
    default_hint = "Fix or uninstall the package."


class WeightsUnavailable(SpecError):
    code = "weights_unavailable"
    default_hint = (
        "Give this machine network access, set TORCH_HOME (torchvision) or HF_HOME (timm) to a"
        " cache that contains the weights, or upload the checkpoint as a teacher."
    )


class WeightsDoNotFit(SpecError):
    code = "weights_do_not_fit"
    default_hint = "Use a student of the teacher's family, or set student.init to random."


class LogitsNeeded(SpecError):
    code = "logits_needed"
    default_hint = (
        "Use a method that compares features or feature maps: dlkd, seed, compress, crd, rkd, pkt,"
        " cc, sp, at, nst, fitnet, vid, ft, ab, reviewkd."
    )


class TeacherError(DistillationError):
    code = "teacher_invalid"


class CheckpointUnreadable(TeacherError):
    code = "checkpoint_unreadable"
    default_hint = (
        "Save the weights with torch.save(model.state_dict(), ...) or safetensors, and use that"
        " file."
    )


class CheckpointRefused(TeacherError):
    code = "checkpoint_refused"
    default_hint = (
        "Checkpoints are never unpickled. Use a plain state dict"
        " (torch.save(model.state_dict(), ...)) or safetensors."
    )


class ArchitectureUnknown(TeacherError):
    code = "architecture_unknown"
    default_hint = (
        "Set the architecture of the checkpoint. See GET /v1/catalog or `dlkd catalog` for all"
        " names."
    )


class KeysDoNotFit(TeacherError):
    code = "keys_do_not_fit"
    default_hint = "Set another architecture, or leave it out to detect it from the checkpoint."


class ClassesDoNotFit(TeacherError):
    code = "classes_do_not_fit"
    default_hint = (
        "Set class_map to the teacher's class index for each class of the dataset, in order."
    )


class ImagesDoNotFit(TeacherError):
    code = "images_do_not_fit"
    default_hint = (
        "Use images of the teacher's size, or export the teacher with dynamic height and width."
    )


class LibraryMissing(TeacherError):
    code = "library_missing"
    default_hint = (
        "Install it on the worker (pip install 'dlkd[transformers]'), or export the network to ONNX"
        " and upload the ONNX file."
    )


class TeacherAtChance(TeacherError):
    code = "teacher_at_chance"
    default_hint = "Check the class order (class_map) and the teacher's normalization."


class DatasetError(DistillationError):
    code = "dataset_invalid"


class ArchiveUnreadable(DatasetError):
    code = "archive_unreadable"
    default_hint = "Use a zip, tar or tar.gz archive with train/<class>/... and val/<class>/...."


class ArchiveRefused(DatasetError):
    code = "archive_refused"
    default_hint = "Include only regular files, under train/<class>/ and val/<class>/."


class LayoutInvalid(DatasetError):
    code = "layout_invalid"
    default_hint = (
        "Use train/<class>/<image> and val/<class>/<image> with the same classes in both."
    )


class ImageUnreadable(DatasetError):
    code = "image_unreadable"
    default_hint = "Replace or remove the file, and pack the archive again."


class DatasetTooLarge(DatasetError):
    code = "dataset_too_large"
    default_hint = "Shrink the images, or raise the worker's memory limit."


class TrainingError(DistillationError):
    code = "training_failed"


class TrainingDiverged(TrainingError):
    code = "training_diverged"
    default_hint = (
        "Lower training.learning_rate, training.max_grad_norm or the loss weights of the method."
    )


class OutOfMemory(TrainingError):
    code = "out_of_memory"
    default_hint = "Lower training.batch_size, or use a device with more memory."


class CheckpointCorrupt(TrainingError):
    code = "checkpoint_corrupt"
    retryable = True
    default_hint = "Start the run again without this checkpoint. The service does so automatically."


class ExportError(DistillationError):
    code = "export_failed"


class ExportDisagrees(ExportError):
    code = "export_disagrees"
    default_hint = (
        "The file was not published. Leave this format out, or report the network and the format."
    )


class ModelUnfit(ExportError):
    code = "model_unfit"
    default_hint = "Export the model again where it was trained, and import the new bundle."
