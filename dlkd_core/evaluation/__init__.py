"""What a network is worth: accuracy, calibration and classes on a split; parameters, multiplications and time."""

from dlkd_core.evaluation.accuracy import Scores, logits_of, scores
from dlkd_core.evaluation.classes import agreement
from dlkd_core.evaluation.latency import latency_ms
from dlkd_core.evaluation.measure import cost, likeness, quality

__all__ = ["Scores", "agreement", "cost", "latency_ms", "likeness", "logits_of", "quality", "scores"]
