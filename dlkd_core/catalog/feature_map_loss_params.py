"""Parameters of the loss terms that compare feature maps."""

from typing import Literal

from pydantic import Field

from dlkd_core.catalog.base_loss_params import LossParams


class MapAlignmentParams(LossParams):
    """Squared distance between standardized feature maps, at each position of each stage."""

    target = "dlkd_core.losses.map_alignment:MapAlignmentLoss"
    needs_feature_maps = True

    name: Literal["map_alignment"] = "map_alignment"
    max_size: int = Field(
        8,
        ge=1,
        le=1024,
        description="Largest height and width, in pixels, of the compared feature maps. Larger ones"
        " are average-pooled.",
    )


class SimKDParams(LossParams):
    """Distance of the projected last feature map to the teacher's (Chen et al. 2022)."""

    target = "dlkd_core.losses.simkd:SimKDLoss"
    needs_feature_maps = True

    name: Literal["simkd"] = "simkd"
    factor: int = Field(
        2,
        ge=1,
        le=64,
        description="Ratio of the teacher's width to the hidden width of the projector",
    )


class ATParams(LossParams):
    """Distance between the attention maps of paired blocks (Zagoruyko and Komodakis 2017)."""

    target = "dlkd_core.losses.at:ATLoss"
    needs_feature_maps = True

    name: Literal["at"] = "at"


class SPParams(LossParams):
    """Distance between the networks' similarity matrices of a batch (Tung and Mori 2019).

    The similarities are computed on the last block's outputs.
    """

    target = "dlkd_core.losses.sp:SPLoss"
    needs_feature_maps = True

    name: Literal["sp"] = "sp"


class NSTParams(LossParams):
    """Squared maximum mean discrepancy between the channels of paired blocks.

    Source: Huang and Wang 2017.
    """

    target = "dlkd_core.losses.nst:NSTLoss"
    needs_feature_maps = True

    name: Literal["nst"] = "nst"


class FitNetParams(LossParams):
    """Distance between the outputs of one middle block per network (Romero et al. 2015).

    A trained regressor maps the student's output to the shape of the teacher's output.
    """

    target = "dlkd_core.losses.fitnet:FitNetLoss"
    needs_feature_maps = True

    name: Literal["fitnet"] = "fitnet"


class VIDParams(LossParams):
    """Bound on the mutual information between paired blocks (Ahn et al. 2019)."""

    target = "dlkd_core.losses.vid:VIDLoss"
    needs_feature_maps = True

    name: Literal["vid"] = "vid"


class ReviewKDParams(LossParams):
    """Distance between fused student blocks and teacher blocks (Chen et al. 2021)."""

    target = "dlkd_core.losses.reviewkd:ReviewKDLoss"
    needs_feature_maps = True

    name: Literal["reviewkd"] = "reviewkd"


class FTParams(LossParams):
    """Distance between the networks' factors of the last block (Kim et al. 2018).

    A paraphraser computes the teacher's factor, and a translator the student's.
    """

    target = "dlkd_core.losses.ft:FTLoss"
    needs_feature_maps = True

    name: Literal["ft"] = "ft"
    rate: float = Field(
        0.5,
        gt=0,
        le=4,
        description="Channels of a factor as a fraction of the channels of the teacher's block",
    )


class ABParams(LossParams):
    """Margin loss that matches which neurons are active in paired blocks (Heo et al. 2019)."""

    target = "dlkd_core.losses.ab:ABLoss"
    needs_feature_maps = True

    name: Literal["ab"] = "ab"
    margin: float = Field(1.0, gt=0)


FeatureMapParams = (
    MapAlignmentParams
    | SimKDParams
    | ATParams
    | SPParams
    | NSTParams
    | FitNetParams
    | VIDParams
    | ReviewKDParams
    | FTParams
    | ABParams
)
