"""Softmax regression representation learning: Yang et al. 2021, https://openreview.net/forum?id=ZzwDy_wiWv, eq. 3 and 5.

As in https://github.com/jingyang2017/KD_SRRL, where a map whose pooled mean is not the features (MobileNetV2's last block) is
taken all the same; here the features themselves are.
"""

from collections.abc import Callable
from math import sqrt

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.terms import SoftmaxRegression as SoftmaxRegressionParams
from dlkd_core.errors import SpecError
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.losses.views import unrotated
from dlkd_core.outputs import Outputs, Targets


class SoftmaxRegression(TermModule):
    """L_FM + w L_SR = mean ( p - f_T )^2 + w mean ( W_T p - z_T )^2, p = the pooled mean of r(F_S), on the first view alone.

    r: 1x1 convolution to the teacher's width, batch norm, ReLU; F_S the last block's map where it has the width of the
    student's features, else the features; W_T the teacher's own classifier, which stays as it is.
    """

    params: SoftmaxRegressionParams

    def __init__(self, params: SoftmaxRegressionParams, setting: Setting) -> None:
        super().__init__(params, setting)
        _classifier(setting)
        ours, theirs = setting.student, setting.taught()
        self.of_map = bool(ours.maps) and ours.maps[-1][0] == ours.features
        convolution = nn.Conv2d(ours.features, theirs.features, 1, bias=False)
        nn.init.normal_(convolution.weight, std=sqrt(2 / theirs.features))
        self.connector = nn.Sequential(convolution, nn.BatchNorm2d(theirs.features))

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        views = self.setting.views
        shown = unrotated(student.maps[-1] if self.of_map else student.features[:, :, None, None], views)
        ours = F.relu(self.connector(shown)).mean(dim=(2, 3))  # (batch, teacher width)
        features, logits = (unrotated(rows, views) for rows in (teacher.features, teacher.logits))
        return F.mse_loss(ours, features) + self.params.regression * F.mse_loss(_classifier(self.setting)(ours), logits)


def _classifier(setting: Setting) -> Callable[[Tensor], Tensor]:
    """The teacher's; never an attribute of the term, whose parameters are trained and saved."""
    if setting.classify is None:
        raise SpecError(
            "The srrl term needs the teacher's own linear classifier, and this teacher shows none.",
            hint="Give the teacher as weights of an architecture of the catalog, not as an ONNX graph; or use dlkd or crd.",
            pointer="/method",
        )
    return setting.classify
