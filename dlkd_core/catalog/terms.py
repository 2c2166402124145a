"""The terms that a method's loss is the weighted sum of: parameters here, code in `dlkd_core.losses`."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from dlkd_core.frozen import Frozen

Weight = Annotated[float, Field(ge=0, le=1e6)]


class Term(Frozen):
    """One loss term: its parameters, and where its code is (``module:Class``), resolved only in the process that trains.

    `views` says which of an image's views the term sees; see `dlkd_core.losses`.
    """

    target: ClassVar[str]
    needs_labels: ClassVar[bool] = False
    needs_logits: ClassVar[bool] = False  # the teacher's
    trains_classifier: ClassVar[bool] = False  # the student's
    of_maps: ClassVar[bool] = False  # compares block outputs

    name: str
    weight: Weight = 1.0
    warmup_epochs: int = Field(0, ge=0, description="The weight grows evenly over so many epochs; 0: whole from the start")


class Labels(Term):
    """Cross-entropy with the labels, on the first view alone."""

    target = "dlkd_core.losses.labels:Labels"
    needs_labels = True
    trains_classifier = True

    name: Literal["labels"] = "labels"


class Hinton(Term):
    """KL divergence of softened logits, times T squared (Hinton et al. 2015), on the first view alone."""

    target = "dlkd_core.losses.kd:Hinton"
    needs_logits = True
    trains_classifier = True

    name: Literal["kd"] = "kd"
    temperature: float = Field(4.0, gt=0)


class Alignment(Term):
    """Each sample's representation to the teacher's: squared distance of unit vectors, over all views."""

    target = "dlkd_core.losses.alignment:Alignment"

    name: Literal["alignment"] = "alignment"
    hidden_factor: int = Field(16, ge=1, le=64, description="Hidden width of the head, in teacher feature widths")


class Correlation(Term):
    """The batch's similarity structure to the teacher's: KL of softmax(cosine / temperature), other views to the first."""

    target = "dlkd_core.losses.correlation:Correlation"

    name: Literal["correlation"] = "correlation"
    temperature: float = Field(0.5, gt=0)


class SupervisedContrast(Term):
    """Supervised contrastive loss over both networks' embeddings of all views (Khosla et al. 2020)."""

    target = "dlkd_core.losses.supcon:SupervisedContrast"
    needs_labels = True

    name: Literal["supcon"] = "supcon"
    temperature: float = Field(0.07, gt=0)
    dimensions: int = Field(128, ge=1, le=4096)


class Decoupled(Term):
    """Target and other classes apart (Zhao et al. 2022), on the first view alone."""

    target = "dlkd_core.losses.dkd:Decoupled"
    needs_labels = True
    needs_logits = True
    trains_classifier = True

    name: Literal["dkd"] = "dkd"
    temperature: float = Field(4.0, gt=0)
    alpha: float = Field(1.0, ge=0, description="Of the target class against the rest")
    beta: float = Field(8.0, ge=0, description="Among the other classes")


class Relations(Term):
    """Pearson correlation between and within classes (Huang et al. 2022), on the first view alone."""

    target = "dlkd_core.losses.dist:Relations"
    needs_logits = True
    trains_classifier = True

    name: Literal["dist"] = "dist"
    temperature: float = Field(4.0, gt=0)
    beta: float = Field(1.0, ge=0, description="Over the classes of an image")
    gamma: float = Field(1.0, ge=0, description="Over the images of a class")


class Attention(Term):
    """Attention maps of all paired blocks (Zagoruyko, Komodakis 2017)."""

    target = "dlkd_core.losses.at:Attention"
    of_maps = True

    name: Literal["at"] = "at"


class Similarity(Term):
    """Similarities of the batch in the last block (Tung, Mori 2019)."""

    target = "dlkd_core.losses.sp:Similarity"
    of_maps = True

    name: Literal["sp"] = "sp"


class NeuronSelectivity(Term):
    """Distribution of the channels of all paired blocks (Huang, Wang 2017)."""

    target = "dlkd_core.losses.nst:NeuronSelectivity"
    of_maps = True

    name: Literal["nst"] = "nst"


class Hint(Term):
    """A middle block through a regressor (Romero et al. 2015)."""

    target = "dlkd_core.losses.fitnet:Hint"
    of_maps = True

    name: Literal["fitnet"] = "fitnet"


class Variational(Term):
    """Mutual information of all paired blocks (Ahn et al. 2019)."""

    target = "dlkd_core.losses.vid:Variational"
    of_maps = True

    name: Literal["vid"] = "vid"


class Geometry(Term):
    """Distances and angles between the samples of the batch (Park et al. 2019)."""

    target = "dlkd_core.losses.rkd:Geometry"

    name: Literal["rkd"] = "rkd"
    distance: float = Field(25.0, ge=0)
    angle: float = Field(50.0, ge=0)


class Probabilities(Term):
    """Probabilities of neighbourhood in the batch (Passalis, Tefas 2018)."""

    target = "dlkd_core.losses.pkt:Probabilities"

    name: Literal["pkt"] = "pkt"


class Congruence(Term):
    """Differences of neighbouring samples' embeddings (Peng et al. 2019)."""

    target = "dlkd_core.losses.cc:Congruence"

    name: Literal["cc"] = "cc"
    dimensions: int = Field(128, ge=1, le=4096)


class Contrast(Term):
    """Contrast with memories of all training images (Tian et al. 2020), on the first view alone."""

    target = "dlkd_core.losses.crd:Contrast"
    needs_labels = True

    name: Literal["crd"] = "crd"
    temperature: float = Field(0.07, gt=0)
    dimensions: int = Field(128, ge=1, le=4096)
    negatives: int = Field(16_384, ge=1, le=1_000_000, description="Of other classes; at most as many as there are")
    momentum: float = Field(0.5, ge=0, lt=1, description="Of the memories")


class RotatedLogits(Term):
    """Softened logits of all views but the first (Xu et al. 2020)."""

    target = "dlkd_core.losses.sskd:RotatedLogits"
    needs_logits = True
    trains_classifier = True

    name: Literal["sskd_logits"] = "sskd_logits"
    temperature: float = Field(4.0, gt=0)


class SelfSupervision(Term):
    """Similarities of the other views to the first, without those that the teacher finds hardest (Xu et al. 2020)."""

    target = "dlkd_core.losses.sskd:SelfSupervision"

    name: Literal["sskd"] = "sskd"
    temperature: float = Field(0.5, gt=0)
    keep: float = Field(0.75, ge=0, le=1, description="Share kept of the rows whose own image the teacher does not rank first")


class SoftmaxRegression(Term):
    """Features, and what the teacher's own classifier makes of them (Yang et al. 2021)."""

    target = "dlkd_core.losses.srrl:SoftmaxRegression"
    needs_logits = True

    name: Literal["srrl"] = "srrl"
    regression: float = Field(1.0, ge=0, description="Of the teacher's classifier, beside the features")


class Review(Term):
    """Blocks fused from deep to shallow, compared at several sizes (Chen et al. 2021)."""

    target = "dlkd_core.losses.reviewkd:Review"
    of_maps = True

    name: Literal["reviewkd"] = "reviewkd"


class Factors(Term):
    """Factors of the last block, by a paraphraser and a translator (Kim et al. 2018)."""

    target = "dlkd_core.losses.ft:Factors"
    of_maps = True

    name: Literal["ft"] = "ft"
    rate: float = Field(0.5, gt=0, le=4, description="Channels of a factor, in channels of the teacher's block")


class Boundaries(Term):
    """Which neurons of all paired blocks are active (Heo et al. 2019)."""

    target = "dlkd_core.losses.ab:Boundaries"
    of_maps = True

    name: Literal["ab"] = "ab"
    margin: float = Field(1.0, gt=0)


class Instances(Term):
    """Similarities to a queue of the teacher's embeddings (Fang et al. 2021); no labels."""

    target = "dlkd_core.losses.seed:Instances"

    name: Literal["seed"] = "seed"
    student_temperature: float = Field(0.2, gt=0)
    teacher_temperature: float = Field(0.01, gt=0)
    queue: int = Field(65_536, ge=1, le=1_000_000, description="At most as many as there are training images")


class Compression(Term):
    """Similarities to queues of both networks' features (Koohpayegani et al. 2020); no labels."""

    target = "dlkd_core.losses.compress:Compression"

    name: Literal["compress"] = "compress"
    temperature: float = Field(0.04, gt=0)
    queues: Literal[1, 2] = Field(2, description="1: the student meets the teacher's queue; 2: each network its own")
    queue: int = Field(128_000, ge=1, le=1_000_000, description="At most as many as there are training images")


_OfLogits = Labels | Hinton | Decoupled | Relations | RotatedLogits
_OfFeatures = (
    Alignment
    | Correlation
    | SupervisedContrast
    | Geometry
    | Probabilities
    | Congruence
    | Contrast
    | SelfSupervision
    | Instances
    | Compression
    | SoftmaxRegression
)
_OfMaps = Attention | Similarity | NeuronSelectivity | Hint | Variational | Review | Factors | Boundaries
_Any = _OfLogits | _OfFeatures | _OfMaps
TERMS: dict[str, type[Term]] = {str(term.model_fields["name"].default): term for term in get_args(_Any)}
TermChoice = Annotated[_Any, Field(discriminator="name")]
