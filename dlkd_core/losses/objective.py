"""The training objective of a method: the weighted sum of its loss terms."""

from torch import Tensor, nn

from dlkd_core.catalog import Method
from dlkd_core.catalog.base_loss_params import LossParams
from dlkd_core.common import import_target
from dlkd_core.errors import SpecError
from dlkd_core.losses.base_loss import DistillationLoss, LossContext, sum_losses
from dlkd_core.losses.reused_classifier import ReusedClassifierLoss
from dlkd_core.network_outputs import Outputs, Targets


class Objective(nn.Module):
    """The weighted loss terms of a method, by name.

    The parameters of this module are those of the terms' trainable heads.
    """

    def __init__(self, terms: dict[str, DistillationLoss]) -> None:
        super().__init__()
        self.params: dict[str, LossParams] = {name: term.params for name, term in terms.items()}
        self.terms = nn.ModuleDict(terms)

    @property
    def reused_classifier(self) -> ReusedClassifierLoss | None:
        """The term that replaces the student's classifier, if there is one."""
        return next(
            (term for term in self.terms.values() if isinstance(term, ReusedClassifierLoss)), None
        )

    def forward(
        self, student: Outputs, teacher: Outputs | None, targets: Targets
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the total loss (a scalar) and each term's unweighted value (scalars, detached).

        Args:
            student: outputs for batch * views rows.
            teacher: outputs for the same rows, or None in a run without a teacher.
            targets: label and index of each image, (batch,).
        """
        if self.reused_classifier:
            student = student._replace(logits=self.reused_classifier.make_logits(student.features))
        values: dict[str, Tensor] = {
            name: term(student, teacher, targets) for name, term in self.terms.items()
        }
        total = sum_losses(
            _epoch_weight(self.params[name], targets.epoch) * value
            for name, value in values.items()
        )
        return total, {name: value.detach() for name, value in values.items()}


def build_objective(method: Method, context: LossContext) -> Objective:
    """Build the objective of a method.

    Raises:
        SpecError: all weights of the method are zero.
    """
    terms = method.active_terms()
    if not terms:
        raise SpecError(
            f"All weights of the method {method.name} are zero, so nothing would be learned.",
            hint="Set at least one weight above zero.",
        )
    names = _number_names([term.name for term in terms])
    return Objective(
        {
            name: import_target(term.target)(term, context)
            for name, term in zip(names, terms, strict=True)
        }
    )


def _epoch_weight(term: LossParams, epoch: int) -> float:
    """Return a term's weight in an epoch. During the warm-up, the weight grows linearly.

    Epochs are counted from 1.
    """
    return term.weight * (min(1.0, epoch / term.warmup_epochs) if term.warmup_epochs else 1.0)


def _number_names(term_names: list[str]) -> list[str]:
    """Append a number to each repetition of a name: the second `at` becomes `at_2`."""
    counts = [term_names[: index + 1].count(name) for index, name in enumerate(term_names)]
    return [
        name if count == 1 else f"{name}_{count}"
        for name, count in zip(term_names, counts, strict=True)
    ]
