"""A method's loss: the weighted sum of its terms."""

from torch import Tensor, nn

from dlkd_core.catalog import Method
from dlkd_core.errors import SpecError
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs
from dlkd_core.resolve import resolve


class Objective(nn.Module):
    """Weighted terms, by name. The optimiser takes `parameters()`: the terms' heads."""

    def __init__(self, weights: dict[str, float], terms: dict[str, TermModule]) -> None:
        super().__init__()
        self.weights = weights
        self.terms = nn.ModuleDict(terms)

    def forward(self, student: Outputs, teacher: Outputs | None, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The total (a scalar) and each term's unweighted value (scalars, detached).

        `teacher` is None where the method needs none; see `TermModule.forward` for the rows.
        """
        values: dict[str, Tensor] = {name: term(student, teacher, labels) for name, term in self.terms.items()}
        first, *others = (self.weights[name] * value for name, value in values.items())
        return sum(others, start=first), {name: value.detach() for name, value in values.items()}


def build(method: Method, setting: Setting) -> Objective:
    """The objective of a method in a run's setting. SpecError where every weight is zero."""
    weighted = method.terms()
    if not weighted:
        raise SpecError(f"The method {method.name} has only zero weights: nothing would be learnt.", hint="Give a term a weight.")
    return Objective(
        {term.name: weight for weight, term in weighted},
        {term.name: resolve(term.target)(term, setting) for _, term in weighted},
    )
