"""The 3-D U-Net step in PyTorch (eager)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import torch
from torch import nn
from torch.nn import functional as F

from training import minimise, serve, with_parameters


def layers(state, path, stride=1):
    """Two 3 × 3 × 3 convolutions, each with instance norm and ReLU."""
    modules = []
    for i in range(2):
        weight = state[f"{path}/{i}/conv/weight"]
        conv = nn.Conv3d(weight.shape[1], weight.shape[0], 3, stride if i == 0 else 1, 1, bias=False)
        conv.weight.data = weight
        norm = nn.InstanceNorm3d(weight.shape[0], affine=True)
        with_parameters(norm, state[f"{path}/{i}/norm/gain"], state[f"{path}/{i}/norm/bias"])
        modules += [conv, norm, nn.ReLU(inplace=True)]
    return nn.Sequential(*modules)


class UNet(nn.Module):
    def __init__(self, model, state):
        super().__init__()
        levels = len(model["widths"])
        self.encoder = nn.ModuleList(
            [layers(state, f"params/encoder/{i}", 1 if i == 0 else 2) for i in range(levels)]
        )
        self.ups, self.decoder = nn.ModuleList(), nn.ModuleList()
        for i in range(levels - 1):
            weight = state[f"params/decoder/{i}/up/weight"]
            up = nn.ConvTranspose3d(weight.shape[0], weight.shape[1], 2, 2, bias=False)
            up.weight.data = weight
            self.ups.append(up)
            self.decoder.append(layers(state, f"params/decoder/{i}/layers"))
        self.head = nn.Conv3d(model["widths"][0], model["classes"], 1)
        with_parameters(self.head, state["params/head/weight"], state["params/head/bias"])

    def forward(self, x):
        skips = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
        skips.pop()
        for up, level in zip(self.ups, self.decoder):
            x = level(torch.cat([skips.pop(), up(x)], 1))
        return self.head(x)


def build(model, state):
    unet = UNet(model, state)
    volumes = state["volumes"]
    labels = state["labels"].long().view(volumes.shape[0], *volumes.shape[2:])
    optimiser = torch.optim.Adam(unet.parameters(), lr=model["learningRate"], foreach=True)
    return minimise(unet, optimiser, lambda network: F.cross_entropy(network(volumes), labels))


serve(build)
