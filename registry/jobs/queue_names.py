"""Queues of jobs, and the kind of worker slot that serves each queue.

This module has no imports from the registry, because the settings use it.
"""

from enum import StrEnum


class QueueName(StrEnum):
    """A queue: one for short checks, and one for training on each kind of device."""

    CHECKS = "checks"
    TRAIN = "train"  # on whatever device the worker has
    TRAIN_CPU = "train-cpu"
    TRAIN_CUDA = "train-cuda"


TRAINING_QUEUES = frozenset({QueueName.TRAIN, QueueName.TRAIN_CPU, QueueName.TRAIN_CUDA})


def queue_for_device(device: str) -> QueueName:
    """Return the queue of training jobs that ask for the device: auto, cpu or cuda."""
    return QueueName.TRAIN if device == "auto" else QueueName(f"{QueueName.TRAIN}-{device}")


def slot_kind(queue: str) -> str:
    """Return the kind of slot that serves the queue. All training queues share one kind."""
    return QueueName.TRAIN if queue in TRAINING_QUEUES else queue
