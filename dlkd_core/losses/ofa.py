"""One-for-all distillation: Hao et al., NeurIPS 2023, https://arxiv.org/abs/2310.19444.

The implementation matches https://github.com/Hao840/OFAKD (OFA) for convolutional students with
stages that double their width, such as ResNets. Differences:

- Every feature map of the student gets an exit. The published code lists four stages of each
  network.
- An exit halves the feature map once for each deeper stage and takes the width of that stage. In
  the published code, each halving doubles the width.
- Transformers have the same exits as convolutional networks, because their tokens are feature maps
  here. In the published code, their exits merge patches and then apply self-attention.
"""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.loss_params import OFAParams
from dlkd_core.errors import SpecError
from dlkd_core.losses.base_loss import (
    DistillationLoss,
    LossContext,
    check_same_classes,
    first_view,
    sum_losses,
)
from dlkd_core.network_outputs import Outputs, Targets


class OFALoss(DistillationLoss):
    """Cross-entropy of the student's logits and exits with enhanced targets, on the first view.

    L = l(z_S) + w sum_l l(E_l(F_S^l)), l(z) = - mean sum_c [ (p_T,c + y_c)^e - y_c ] log p_c

    p = softmax(z / T), and y is the one-hot label. The exit E_l consists of separable convolutions
    with stride 2 (a 1x1 convolution for the last map), the mean over pixels and a linear layer.
    """

    params: OFAParams

    def __init__(self, params: OFAParams, context: LossContext) -> None:
        super().__init__(params, context)
        check_same_classes(context)
        student, teacher = context.student_shapes, context.require_teacher()
        if not student.feature_maps:
            raise SpecError(
                "The ofa term trains exits on the student's block outputs, but this student "
                "exposes none.",
                hint="Use another student, or a method on logits: kd, dkd, nkd or wttm.",
                pointer="/student/architecture",
            )
        widths = [shape[0] for shape in student.feature_maps]
        last_width = max(student.features, teacher.features)
        self.exits = nn.ModuleList(
            _make_exit(widths[stage:], last_width, student.classes) for stage in range(len(widths))
        )

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:
        views = self.context.num_views
        z_t = first_view(teacher.logits, views)
        exit_losses = [
            self._enhanced_loss(make_logits(first_view(maps, views)), z_t, targets.labels)
            for make_logits, maps in zip(self.exits, student.feature_maps, strict=True)
        ]
        loss = self._enhanced_loss(first_view(student.logits, views), z_t, targets.labels)
        return loss + self.params.exits * sum_losses(exit_losses)

    def _enhanced_loss(self, z: Tensor, z_t: Tensor, labels: Tensor) -> Tensor:
        T = self.params.temperature
        one_hot = F.one_hot(labels, z.shape[1]).to(z.dtype)
        enhanced = (F.softmax(z_t / T, dim=1) + one_hot) ** self.params.exponent - one_hot
        return -(enhanced * F.log_softmax(z / T, dim=1)).sum(dim=1).mean()


def _make_exit(widths: list[int], last_width: int, classes: int) -> nn.Sequential:
    """Return an exit from maps (N, widths[0], H, W) to logits (N, classes).

    Args:
        widths: width of the stage and of all deeper stages.
        last_width: width of the features that the exit classifies.
        classes: number of classes.
    """
    blocks: list[nn.Module] = [
        _make_separable_block(width, out) for width, out in pairwise([*widths[:-1], last_width])
    ]
    exit_branch = nn.Sequential(
        *(blocks or [nn.Conv2d(widths[0], last_width, 1)]),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(last_width, classes),
    )
    exit_branch.apply(_init_weights)
    return exit_branch


def _make_separable_block(width: int, out: int) -> nn.Sequential:
    """Return two depthwise separable convolutions. The first one halves height and width."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, stride=2, padding=1, groups=width, bias=False),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.Conv2d(width, out, 1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
