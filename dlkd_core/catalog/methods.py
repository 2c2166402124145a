"""The methods: each expands to weighted terms. Defaults are the published ones (sources in the docstrings).

Where a source is uncertain the docstring says so; see docs/decisions.md.
"""

from typing import Annotated, Literal, get_args

from pydantic import Field

from dlkd_core.catalog.comparisons import (
    AB,
    AT,
    CC,
    CRD,
    DIST,
    DKD,
    FT,
    NST,
    PKT,
    RKD,
    SEED,
    SP,
    SRRL,
    SSKD,
    VID,
    CompRess,
    FitNet,
    ReviewKD,
)
from dlkd_core.catalog.dlkd import DLKD, DLKDAuto, DLKDSup
from dlkd_core.catalog.method import Method
from dlkd_core.catalog.terms import Hinton, Labels, Term, TermChoice, Weight


class Plain(Method):
    """Labels alone: how a teacher, or a student for comparison, is trained."""

    needs_teacher = False

    name: Literal["plain"] = "plain"

    def _weighted(self) -> list[Term]:
        return [Labels()]


class KD(Method):
    """Softened logits (Hinton, Vinyals, Dean 2015), weights of RepDistiller: 0.1 labels, 0.9 teacher, T = 4."""

    source = "https://arxiv.org/abs/1503.02531"

    name: Literal["kd"] = "kd"
    temperature: float = Field(4.0, gt=0, le=100)
    labels: Weight = 0.1
    teacher: Weight = 0.9

    def _weighted(self) -> list[Term]:
        return [Labels(weight=self.labels), Hinton(weight=self.teacher, temperature=self.temperature)]


class Combine(Method):
    """Any terms with any weights."""

    name: Literal["combine"] = "combine"
    terms: tuple[TermChoice, ...] = Field((Labels(weight=0.1), Hinton(weight=0.9)), min_length=1, max_length=40)

    def _weighted(self) -> list[Term]:
        return list(self.terms)


_Own = Plain | KD | DLKD | DLKDSup | DLKDAuto
_Compared = DKD | DIST | FitNet | AT | SP | CC | VID | RKD | PKT | NST | FT | AB | CRD | SSKD | SRRL | ReviewKD | SEED | CompRess
METHODS: dict[str, type[Method]] = {
    str(method.model_fields["name"].default): method for method in get_args(_Own | _Compared | Combine)
}
MethodChoice = Annotated[_Own | _Compared | Combine, Field(discriminator="name")]
