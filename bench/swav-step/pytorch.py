"""The SwAV step in PyTorch (eager)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import torch
from torch import nn
from torch.nn import functional as F

from resnet import ResNet
from training import linear, serve, with_parameters


class Swav(nn.Module):
    def __init__(self, model, state):
        super().__init__()
        self.encoder = ResNet(model, state, "params/encoder", "statistics/encoder")
        path, statistics = "params/projector", "statistics/projector"
        norm = with_parameters(nn.BatchNorm1d(model["hidden"]), state[f"{path}/norm/gain"], state[f"{path}/norm/bias"])
        norm.running_mean.data, norm.running_var.data = state[f"{statistics}/mean"], state[f"{statistics}/variance"]
        hidden, output = linear(state, f"{path}/hidden"), linear(state, f"{path}/output")
        self.projector = nn.Sequential(hidden, norm, nn.ReLU(inplace=True), output)
        self.prototypes = nn.Parameter(state["params/prototypes"])

    def forward(self, large, small):
        features = torch.cat([self.encoder(large), self.encoder(small)])
        return F.normalize(self.projector(features), dim=1) @ self.prototypes.T


@torch.no_grad()
def sinkhorn(scores, epsilon, iterations):
    codes = torch.exp(scores / epsilon)
    batch, prototypes = codes.shape
    codes /= codes.sum()
    for _ in range(iterations):
        codes /= codes.sum(0, keepdim=True) * prototypes
        codes /= codes.sum(1, keepdim=True) * batch
    return codes * batch


def build(model, state):
    swav = Swav(model, state)
    large, small = state["large"], state["small"]
    batch, codes_of = model["batch"], model["large"]["crops"]
    optimiser = torch.optim.SGD(swav.parameters(), lr=model["learningRate"], momentum=model["momentum"], foreach=True)

    def step():
        with torch.no_grad():
            swav.prototypes.copy_(F.normalize(swav.prototypes, dim=1))
        optimiser.zero_grad(set_to_none=True)
        scores = swav(large, small)
        views = F.log_softmax(scores / model["temperature"], dim=1).split(batch)
        terms = []
        for i, crop in enumerate(scores.detach().split(batch)[:codes_of]):
            codes = sinkhorn(crop, model["epsilon"], model["iterations"])
            terms += [-(codes * view).sum(1).mean() for v, view in enumerate(views) if v != i]
        loss = torch.stack(terms).mean()
        loss.backward()
        optimiser.step()
        return loss

    return step


serve(build)
