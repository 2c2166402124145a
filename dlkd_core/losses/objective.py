"""A method's loss: the weighted sum of its terms."""

from torch import Tensor, nn

from dlkd_core.catalog import Method
from dlkd_core.catalog.terms import Term
from dlkd_core.errors import SpecError
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Targets
from dlkd_core.resolve import resolve


class Objective(nn.Module):
    """Weighted terms, by name. The optimiser takes `parameters()`: the terms' heads."""

    def __init__(self, terms: dict[str, TermModule]) -> None:
        super().__init__()
        self.params: dict[str, Term] = {name: term.params for name, term in terms.items()}
        self.terms = nn.ModuleDict(terms)

    def forward(self, student: Outputs, teacher: Outputs | None, targets: Targets) -> tuple[Tensor, dict[str, Tensor]]:
        """The total (a scalar) and each term's unweighted value (scalars, detached).

        `teacher` is None where the method needs none; see `TermModule.forward` for the rows.
        """
        values: dict[str, Tensor] = {name: term(student, teacher, targets) for name, term in self.terms.items()}
        first, *others = (_weight(self.params[name], targets.epoch) * value for name, value in values.items())
        return sum(others, start=first), {name: value.detach() for name, value in values.items()}


def build(method: Method, setting: Setting) -> Objective:
    """The objective of a method in a run's setting. SpecError where every weight is zero."""
    terms = method.weighted()
    if not terms:
        raise SpecError(f"The method {method.name} has only zero weights: nothing would be learnt.", hint="Give a term a weight.")
    names = _names([term.name for term in terms])
    return Objective({name: resolve(term.target)(term, setting) for name, term in zip(names, terms, strict=True)})


def _weight(term: Term, epoch: int) -> float:
    """The weight in an epoch (from 1): it grows evenly over the first ones where the term asks for it."""
    return term.weight * (min(1.0, epoch / term.warmup_epochs) if term.warmup_epochs else 1.0)


def _names(kinds: list[str]) -> list[str]:
    """Each term's kind, numbered from its second occurrence: at, at_2."""
    counts = [kinds[: place + 1].count(kind) for place, kind in enumerate(kinds)]
    return [kind if count == 1 else f"{kind}_{count}" for kind, count in zip(kinds, counts, strict=True)]
