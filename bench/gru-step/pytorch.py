"""The GRU step in PyTorch (eager)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import torch
from torch import nn
from torch.nn import functional as F

from training import linear, minimise, serve


class LanguageModel(nn.Module):
    def __init__(self, model, state):
        super().__init__()
        self.words = nn.Parameter(state["params/words/table"])
        self.gru = nn.GRU(model["width"], model["hidden"])
        self.gru.weight_ih_l0.data = state["params/gru/inputWeights"]
        self.gru.weight_hh_l0.data = state["params/gru/recurrentWeights"]
        self.gru.bias_ih_l0.data = state["params/gru/inputBias"]
        self.gru.bias_hh_l0.data = state["params/gru/recurrentBias"]
        self.gru.flatten_parameters()
        self.head = linear(state, "params/head")

    def forward(self, ids):
        states, _ = self.gru(F.embedding(ids, self.words))
        return self.head(states)


def build(model, state):
    network = LanguageModel(model, state)
    ids, targets = state["ids"].long(), state["targets"].long().flatten()
    optimiser = torch.optim.Adam(network.parameters(), lr=model["learningRate"], foreach=True)
    return minimise(network, optimiser, lambda n: F.cross_entropy(n(ids).flatten(0, 1), targets))


serve(build)
