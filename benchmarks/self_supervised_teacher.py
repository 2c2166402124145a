"""Trains a teacher without labels: SimCLR on the CIFAR-10 training images.

Usage: python -m benchmarks.self_supervised_teacher --data cifar10.zip --out teacher.safetensors
    [--architecture resnet20] [--epochs 10]

It needs the package lightly (`pip install lightly`), whose loss and projection head it uses
(https://docs.lightly.ai/self-supervised-learning/examples/simclr.html). The file contains the
backbone without a classifier, as self-supervised checkpoints usually do.
"""

import argparse
from pathlib import Path
from time import perf_counter

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from safetensors.torch import save_file

from dlkd_core.catalog.methods.base_method import ViewKind
from dlkd_core.data import open_dataset
from dlkd_core.data.augmentation.views import Augmentation
from dlkd_core.data.batches import BatchLoader
from dlkd_core.models import FeatureExtractor, build_network
from dlkd_core.teachers.normalization import channel_statistics
from dlkd_core.training.schedule import learning_rate_factor
from dlkd_core.training_spec import LearningRateSchedule, ScheduleName

_BATCH_SIZE, _LEARNING_RATE, _TEMPERATURE = 128, 0.1, 0.2
_SCHEDULE = LearningRateSchedule(name=ScheduleName.COSINE, warmup_epochs=1)


def train_teacher(data: Path, architecture: str, epochs: int, seed: int = 0) -> FeatureExtractor:
    """Train the backbone with SimCLR. Each image gives two views, as in MoCo v2."""
    dataset = open_dataset(data)
    torch.manual_seed(seed)
    network = build_network(architecture, len(dataset.classes))
    normalization = channel_statistics(dataset.train)
    model = FeatureExtractor(network, normalization.mean, normalization.std)
    model.to(memory_format=torch.channels_last)
    width = model.eval()(torch.zeros(2, 3, *dataset.image_size)).features.shape[1]
    head = SimCLRProjectionHead(width, 4 * width, 64)
    criterion = NTXentLoss(_TEMPERATURE)
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=_LEARNING_RATE, momentum=0.9, weight_decay=5e-4)
    batches = BatchLoader(dataset.train, _BATCH_SIZE, Augmentation(ViewKind.MOCO), seed)
    steps = epochs * batches.steps_per_epoch
    model.train()
    started = perf_counter()
    for step, (views, _) in enumerate(batches.iterate(0, steps)):
        factor = learning_rate_factor(_SCHEDULE, step, steps, batches.steps_per_epoch)
        optimizer.param_groups[0]["lr"] = _LEARNING_RATE * factor
        embeddings = head(model(views).features)
        loss = criterion(embeddings[::2], embeddings[1::2])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % 50 == 0:
            elapsed = perf_counter() - started
            print(f"step {step + 1} of {steps}: loss {loss:.3f}, {elapsed:.0f} s", flush=True)
    return model


def main() -> None:
    """Run the training from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--architecture", default="resnet20")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1, help="number of CPU threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = train_teacher(arguments.data, arguments.architecture, arguments.epochs)
    classifier = build_network(arguments.architecture, 1).classifier
    weights = {
        name: tensor.contiguous()
        for name, tensor in model.network.state_dict().items()
        if not name.startswith(classifier)
    }
    save_file(weights, arguments.out)


if __name__ == "__main__":
    main()
