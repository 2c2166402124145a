"""What every method has. The methods themselves: `methods`, and `comparisons` for those that DLKD is compared with."""

from typing import ClassVar, Literal

from dlkd_core.catalog.terms import Labels, Term, Weight
from dlkd_core.frozen import Frozen

Views = Literal["single", "rotation4", "moco"]


class Method(Frozen):
    """What every method has: its views of an image, and its weighted terms."""

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = ""

    name: str
    views: Views = "single"

    def weighted(self) -> list[Term]:
        """The terms of the loss with their weights; those of weight zero are left out."""
        return [term for term in self._weighted() if term.weight > 0]

    def _weighted(self) -> list[Term]:
        raise NotImplementedError(type(self).__name__)


class Compared(Method):
    """Labels and one term, as the published code combines them."""

    labels: Weight = 1.0

    def _with(self, term: Term) -> list[Term]:
        return [Labels(weight=self.labels), term]
