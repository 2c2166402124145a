"""Base classes of distillation methods."""

from typing import ClassVar

from dlkd_core.catalog.base_loss_params import LossParams, Weight
from dlkd_core.catalog.loss_params import CrossEntropyParams
from dlkd_core.common import FrozenModel, LiteralEnum


class ViewKind(LiteralEnum):
    """Kinds of augmented views of an image."""

    SINGLE = "single"
    ROTATION4 = "rotation4"
    MOCO = "moco"
    RESIZED_CROP = "resized_crop"


class RunContext(FrozenModel):
    """Facts about a run that a method can adapt to."""

    steps: int  # optimizer steps of the whole run
    has_labels: bool = True
    has_teacher_logits: bool = True
    has_feature_maps: bool = True  # of both networks


class Method(FrozenModel):
    """A distillation method: the views of an image and a weighted sum of loss terms."""

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = ""

    name: str
    views: ViewKind = ViewKind.SINGLE

    def active_terms(self) -> list[LossParams]:
        """Return the loss terms whose weight is not zero."""
        return [term for term in self._build_terms() if term.weight > 0]

    @property
    def trains_classifier(self) -> bool:
        """Whether the student's classifier is trained, and not only its features."""
        return any(term.trains_classifier for term in self.active_terms())

    def terms_needing_logits(self) -> list[str]:
        """Return the names of the terms that need the teacher's logits."""
        return [term.name for term in self.active_terms() if term.needs_logits]

    def terms_needing_labels(self) -> list[str]:
        """Return the names of the terms that need labels."""
        return [term.name for term in self.active_terms() if term.needs_labels]

    def terms_needing_feature_maps(self) -> list[str]:
        """Return the names of the terms that compare feature maps."""
        return [term.name for term in self.active_terms() if term.needs_feature_maps]

    @property
    def min_classes(self) -> int:
        """Smallest number of classes for which all terms are meaningful."""
        return max((term.min_classes for term in self.active_terms()), default=1)

    def summarize(self) -> str:
        """Return a one-line summary of the weighted terms and the view kind."""
        terms = " + ".join(f"{term.weight:.3g} {term.name}" for term in self.active_terms())
        return f"{terms}, views: {self.views}"

    def adapt(self, context: RunContext) -> "Method":  # noqa: ARG002 - most methods do not adapt
        """Return the method with the weights and views to use for a run."""
        return self

    def _build_terms(self) -> list[LossParams]:
        raise NotImplementedError(type(self).__name__)


class PublishedMethod(Method):
    """A published method whose loss is the cross-entropy with the labels plus one other term."""

    labels: Weight = 1.0

    def _with_labels(self, term: LossParams) -> list[LossParams]:
        return [CrossEntropyParams(weight=self.labels), term]
