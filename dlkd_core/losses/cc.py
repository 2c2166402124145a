"""Correlation congruence: Peng et al. 2019, https://arxiv.org/abs/1904.01802; the form of it that RepDistiller compares with."""

from torch import Tensor, nn

from dlkd_core.catalog.terms import Congruence as CongruenceParams
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Targets


class Congruence(TermModule):
    """mean over neighbours in the batch of <d_i, d_(i+1)>, d = |e_S - e_T|, e linear embeddings of the features, both learnt."""

    params: CongruenceParams

    def __init__(self, params: CongruenceParams, setting: Setting) -> None:
        super().__init__(params, setting)
        self.embed_student = nn.Linear(setting.student.features, params.dimensions)
        self.embed_teacher = nn.Linear(setting.taught().features, params.dimensions)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        return self.between(self.embed_student(student.features), self.embed_teacher(teacher.features))

    @staticmethod
    def between(ours: Tensor, theirs: Tensor) -> Tensor:
        """The loss of embeddings (N, dimensions)."""
        apart = (ours - theirs).abs()
        return (apart[:-1] * apart[1:]).sum(dim=1).mean()
