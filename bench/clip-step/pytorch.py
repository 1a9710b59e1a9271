"""The CLIP step in PyTorch (eager)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import torch
from torch import nn
from torch.nn import functional as F

from training import linear, minimise, serve, with_parameters


def layer_norm(state, path):
    gain, bias = state[f"{path}/gain"], state[f"{path}/bias"]
    return with_parameters(nn.LayerNorm(len(gain), eps=1e-5), gain, bias)


def attend(q, k, v):
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return scores.softmax(-1) @ v


class Block(nn.Module):
    def __init__(self, model, state, path):
        super().__init__()
        self.heads = model["heads"]
        self.attention_norm = layer_norm(state, f"{path}/attentionNorm")
        self.mlp_norm = layer_norm(state, f"{path}/mlpNorm")
        self.qkv, self.output = linear(state, f"{path}/attention/qkv"), linear(state, f"{path}/attention/output")
        self.expand, self.contract = linear(state, f"{path}/expand"), linear(state, f"{path}/contract")

    def forward(self, x):
        b, n, d = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(b, n, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        x = x + self.output(attend(q, k, v).transpose(1, 2).reshape(b, n, d))
        return x + self.contract(F.gelu(self.expand(self.mlp_norm(x))))


class Tower(nn.Module):
    def __init__(self, model, state, path):
        super().__init__()
        self.positions = nn.Parameter(state[f"{path}/positions"])
        layers = [Block(model, state, f"{path}/blocks/layers/{i}") for i in range(model["layers"])]
        self.blocks = nn.Sequential(*layers)
        self.norm, self.head = layer_norm(state, f"{path}/blocks/finalNorm"), linear(state, f"{path}/head", bias=False)

    def forward(self, x):
        return self.head(self.norm(self.blocks(x + self.positions)).mean(1))


class Clip(nn.Module):
    def __init__(self, model, state):
        super().__init__()
        self.patch, self.temperature = model["patchSize"], model["temperature"]
        self.patches = linear(state, "params/image/patches")
        self.words = nn.Parameter(state["params/text/words/table"])
        self.image, self.text = Tower(model, state, "params/image"), Tower(model, state, "params/text")

    def forward(self, images, ids):
        b, channels, size, _ = images.shape
        side = size // self.patch
        grid = images.view(b, channels, side, self.patch, side, self.patch).permute(0, 2, 4, 1, 3, 5)
        image = F.normalize(self.image(self.patches(grid.reshape(b, side * side, -1))), dim=-1)
        text = F.normalize(self.text(F.embedding(ids, self.words)), dim=-1)
        logits = image @ text.T / self.temperature
        target = torch.arange(b)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def build(model, state):
    clip = Clip(model, state)
    images, ids = state["images"], state["ids"].long()
    optimiser = torch.optim.Adam(clip.parameters(), lr=model["learningRate"], foreach=True)
    return minimise(clip, optimiser, lambda network: network(images, ids))


serve(build)
