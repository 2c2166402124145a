"""What can go wrong in a run, each with a stable code.

DistillationError
├── SpecError                   the request itself
│   ├── UnknownChoice
│   ├── PackageInvalid          an installed package brings an architecture that cannot be taken
│   ├── WeightsUnavailable      pretrained ones that cannot be had here
│   └── LogitsNeeded            a method of logits, and a teacher without a classifier
├── TeacherError                the checkpoint
│   ├── CheckpointUnreadable
│   ├── CheckpointRefused       readable only by unpickling code, or holding what we do not take
│   ├── ArchitectureUnknown
│   ├── KeysDoNotFit
│   ├── ClassesDoNotFit
│   ├── ImagesDoNotFit
│   └── TeacherAtChance
├── DatasetError                the images
│   ├── ArchiveUnreadable
│   ├── ArchiveRefused          paths that escape, bombs, links
│   ├── LayoutInvalid
│   ├── ImageUnreadable
│   └── DatasetTooLarge
├── TrainingError               the loop
│   ├── TrainingDiverged
│   ├── OutOfMemory
│   └── CheckpointCorrupt
└── ExportError                 the files
    └── ExportDisagrees
"""

from typing import Any, ClassVar


class DistillationError(Exception):
    """A failure with a code that programs can rely on, a message with the facts and a hint that says what to do."""

    code: ClassVar[str] = "distillation_failed"
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None, pointer: str | None = None) -> None:
        """`pointer` is the JSON pointer of the field at fault in the spec, where there is one."""
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.pointer = pointer

    def facts(self) -> dict[str, Any]:
        """The failure as plain data: what a job's row, a problem document and the terminal show."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "retryable": self.retryable}


class SpecError(DistillationError):
    code = "spec_invalid"


class UnknownChoice(SpecError):
    code = "unknown_choice"
    default_hint = "GET /v1/catalog or `dlkd catalog` lists every name."


class PackageInvalid(SpecError):
    code = "package_invalid"
    default_hint = "Correct or uninstall the package."


class WeightsUnavailable(SpecError):
    code = "weights_unavailable"
    default_hint = (
        "Give this machine network access, or set TORCH_HOME (torchvision) or HF_HOME (timm) to a cache that holds the weights; "
        "or upload the checkpoint as a teacher."
    )


class LogitsNeeded(SpecError):
    code = "logits_needed"
    default_hint = (
        "Methods of features and maps work without a classifier: dlkd, seed, compress, crd, rkd, pkt, cc, sp, at, nst, fitnet, "
        "vid, ft, ab, reviewkd."
    )


class TeacherError(DistillationError):
    code = "teacher_invalid"


class CheckpointUnreadable(TeacherError):
    code = "checkpoint_unreadable"
    default_hint = "Save the weights with torch.save(model.state_dict(), ...) or safetensors and send that file."


class CheckpointRefused(TeacherError):
    code = "checkpoint_refused"
    default_hint = "Nothing is unpickled here: send a plain state dict (torch.save(model.state_dict(), ...)) or safetensors."


class ArchitectureUnknown(TeacherError):
    code = "architecture_unknown"
    default_hint = "Name the architecture of the checkpoint; GET /v1/catalog or `dlkd catalog` lists them."


class KeysDoNotFit(TeacherError):
    code = "keys_do_not_fit"
    default_hint = "Name another architecture, or leave it out to have it recognised."


class ClassesDoNotFit(TeacherError):
    code = "classes_do_not_fit"
    default_hint = "Give class_map: for each class of the data set, in order, the teacher's class index."


class ImagesDoNotFit(TeacherError):
    code = "images_do_not_fit"
    default_hint = "Bring images of the teacher's size, or export the teacher with dynamic height and width."


class TeacherAtChance(TeacherError):
    code = "teacher_at_chance"
    default_hint = "Check the order of the classes (class_map) and the teacher's normalization."


class DatasetError(DistillationError):
    code = "dataset_invalid"


class ArchiveUnreadable(DatasetError):
    code = "archive_unreadable"
    default_hint = "Send a zip, tar or tar.gz of train/<class>/... and val/<class>/...."


class ArchiveRefused(DatasetError):
    code = "archive_refused"
    default_hint = "Pack regular files only, under train/<class>/ and val/<class>/."


class LayoutInvalid(DatasetError):
    code = "layout_invalid"
    default_hint = "Use train/<class>/<image> and val/<class>/<image> with the same classes in both."


class ImageUnreadable(DatasetError):
    code = "image_unreadable"
    default_hint = "Replace or remove the file and send the archive again."


class DatasetTooLarge(DatasetError):
    code = "dataset_too_large"
    default_hint = "Shrink the images, or raise the worker's memory limit."


class TrainingError(DistillationError):
    code = "training_failed"


class TrainingDiverged(TrainingError):
    code = "training_diverged"
    default_hint = "Lower training.learning_rate or the weights of the method."


class OutOfMemory(TrainingError):
    code = "out_of_memory"
    default_hint = "Lower training.batch_size, or ask for a device with more memory."


class CheckpointCorrupt(TrainingError):
    code = "checkpoint_corrupt"
    retryable = True
    default_hint = "The run starts again from the beginning."


class ExportError(DistillationError):
    code = "export_failed"


class ExportDisagrees(ExportError):
    code = "export_disagrees"
    default_hint = "The file was not published. Leave this format out, or report the network and the format."


class ModelUnfit(ExportError):
    code = "model_unfit"
    default_hint = "Export the model again where it was made, and import that bundle."
