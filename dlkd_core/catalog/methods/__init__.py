"""Distillation methods, each a weighted sum of loss terms with published weights as defaults.

Docstrings name the sources and say whether a source is uncertain; see also docs/decisions.md.
"""

from typing import Annotated, Literal, get_args

from pydantic import Field

from dlkd_core.catalog.base_loss_params import LossParams, Weight
from dlkd_core.catalog.loss_params import CrossEntropyParams, KDParams, TermChoice
from dlkd_core.catalog.methods.base_method import Method
from dlkd_core.catalog.methods.dlkd import DLKD, DLKDAuto, DLKDSup
from dlkd_core.catalog.methods.logit_methods import DIST, DKD, MLLD, NKD, OFA, WTTM
from dlkd_core.catalog.methods.published_methods import (
    AB,
    AT,
    CC,
    CRD,
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


class Plain(Method):
    """Training on the labels alone, for teachers and for baseline students."""

    needs_teacher = False

    name: Literal["plain"] = "plain"

    def _build_terms(self) -> list[LossParams]:
        return [CrossEntropyParams()]


class KD(Method):
    """Distillation of softened logits (Hinton, Vinyals and Dean 2015).

    The weights are those of RepDistiller: 0.1 for labels, 0.9 for the teacher, T = 4.
    """

    source = "https://arxiv.org/abs/1503.02531"

    name: Literal["kd"] = "kd"
    temperature: float = Field(4.0, gt=0, le=100)
    labels: Weight = 0.1
    teacher: Weight = 0.9
    standardize: bool = Field(
        False,
        description="Replace the logits of each image by their z-scores (Sun et al. 2024)."
        " Published with temperature 2, teacher 9 and labels 0.1. Needs at least three classes.",
    )

    def _build_terms(self) -> list[LossParams]:
        term = KDParams(
            weight=self.teacher, temperature=self.temperature, standardize=self.standardize
        )
        return [CrossEntropyParams(weight=self.labels), term]


class Combine(Method):
    """A custom combination of loss terms and weights."""

    name: Literal["combine"] = "combine"
    terms: tuple[TermChoice, ...] = Field(
        (CrossEntropyParams(weight=0.1), KDParams(weight=0.9)), min_length=1, max_length=40
    )

    def _build_terms(self) -> list[LossParams]:
        return list(self.terms)


_CoreMethods = Plain | KD | DLKD | DLKDSup | DLKDAuto
_PublishedMethods = (
    DKD
    | DIST
    | WTTM
    | NKD
    | MLLD
    | OFA
    | FitNet
    | AT
    | SP
    | CC
    | VID
    | RKD
    | PKT
    | NST
    | FT
    | AB
    | CRD
    | SSKD
    | SRRL
    | ReviewKD
    | SEED
    | CompRess
)
METHODS: dict[str, type[Method]] = {
    str(method.model_fields["name"].default): method
    for method in get_args(_CoreMethods | _PublishedMethods | Combine)
}
MethodChoice = Annotated[_CoreMethods | _PublishedMethods | Combine, Field(discriminator="name")]
