"""What a network is worth: accuracy on a split, latency of one image."""

from dlkd_core.evaluation.accuracy import Scores, logits_of, scores
from dlkd_core.evaluation.latency import latency_ms

__all__ = ["Scores", "latency_ms", "logits_of", "scores"]
