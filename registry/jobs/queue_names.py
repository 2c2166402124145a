"""Job queues, and the kind of worker slot that serves each of them.

The settings import this module, so it must not import anything from the registry.
"""

from enum import StrEnum


class QueueName(StrEnum):
    """A job queue: either for upload checks, or for training jobs that request a certain device."""

    CHECKS = "checks"
    TRAIN = "train"  # on any device that the worker has
    TRAIN_CPU = "train-cpu"
    TRAIN_CUDA = "train-cuda"


TRAINING_QUEUES = frozenset({QueueName.TRAIN, QueueName.TRAIN_CPU, QueueName.TRAIN_CUDA})


def queue_for_device(device: str) -> QueueName:
    """Return the queue for training jobs that request this device (auto, cpu or cuda)."""
    return QueueName.TRAIN if device == "auto" else QueueName(f"{QueueName.TRAIN}-{device}")


def slot_kind(queue: str) -> str:
    """Return the kind of slot that serves the queue. It is the same for all training queues."""
    return QueueName.TRAIN if queue in TRAINING_QUEUES else queue
