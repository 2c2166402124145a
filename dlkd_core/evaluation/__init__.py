"""Evaluation of a network: accuracy, calibration, parameters, multiply-accumulates and latency."""

from dlkd_core.evaluation.accuracy import Scores, predict, score_network
from dlkd_core.evaluation.classification_metrics import top1_agreement
from dlkd_core.evaluation.latency import measure_median_latency_ms
from dlkd_core.evaluation.model_measurements import measure_agreement, measure_cost, measure_quality

__all__ = [
    "Scores",
    "measure_agreement",
    "measure_cost",
    "measure_median_latency_ms",
    "measure_quality",
    "predict",
    "score_network",
    "top1_agreement",
]
