"""What every method has. The methods themselves: `methods`, and `comparisons` for those that DLKD is compared with."""

from typing import ClassVar, Literal

from dlkd_core.catalog.terms import Labels, Term, Weight
from dlkd_core.frozen import Frozen

Views = Literal["single", "rotation4", "moco"]


class Situation(Frozen):
    """What a method may fit itself to."""

    steps: int  # of the optimiser, over the whole run


class Method(Frozen):
    """What every method has: its views of an image, and its weighted terms."""

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = ""

    name: str
    views: Views = "single"

    def weighted(self) -> list[Term]:
        """The terms of the loss with their weights; those of weight zero are left out."""
        return [term for term in self._weighted() if term.weight > 0]

    def of_logits(self) -> list[str]:
        """The names of the terms that need the teacher's logits."""
        return [term.name for term in self.weighted() if term.needs_logits]

    @property
    def trains_classifier(self) -> bool:
        """Whether the student's classifier is trained; else only its features are."""
        return any(term.trains_classifier for term in self.weighted())

    def labelled(self) -> list[str]:
        """The names of the terms that learn from labels."""
        return [term.name for term in self.weighted() if term.needs_labels]

    def of_maps(self) -> list[str]:
        """The names of the terms that compare block outputs."""
        return [term.name for term in self.weighted() if term.of_maps]

    def told(self) -> str:
        """What it is, for people."""
        return f"{' + '.join(f'{term.weight:.3g} {term.name}' for term in self.weighted())}, views: {self.views}"

    def adapted(self, situation: Situation) -> "Method":  # noqa: ARG002 - most are what they are
        """The method as it is run in that situation."""
        return self

    def _weighted(self) -> list[Term]:
        raise NotImplementedError(type(self).__name__)


class Compared(Method):
    """Labels and one term, as the published code combines them."""

    labels: Weight = 1.0

    def _with(self, term: Term) -> list[Term]:
        return [Labels(weight=self.labels), term]
