"""The CNN step in PyTorch (eager)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import torch
from torch.nn import functional as F

from resnet import ResNet
from training import minimise, serve


def build(model, state):
    resnet = ResNet(model, state, "params", "statistics")
    images, labels = state["images"], state["labels"].long()
    optimiser = torch.optim.SGD(resnet.parameters(), lr=model["learningRate"], momentum=model["momentum"], foreach=True)
    return minimise(resnet, optimiser, lambda network: F.cross_entropy(network(images), labels))


serve(build)
