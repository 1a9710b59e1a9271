"""The benchmark's step in PyTorch (eager), driven like every other engine: a number of steps a line."""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

model_config = json.loads(sys.argv[1])
torch.manual_seed(0)
torch.set_num_threads(int(sys.argv[2]))
torch.set_flush_denormal(True)

B, D = model_config["batch"], model_config["width"]
HEADS, LAYERS, EXPANSION = model_config["heads"], model_config["layers"], model_config["expansion"]
SIZE, PATCH, CHANNELS = model_config["imageSize"], model_config["patchSize"], model_config["channels"]
TOKENS, VOCABULARY = model_config["textTokens"], model_config["vocabulary"]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(D), nn.LayerNorm(D)
        self.qkv, self.output = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.expand, self.contract = nn.Linear(D, EXPANSION * D), nn.Linear(EXPANSION * D, D)

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = self.qkv(self.attention_norm(x)).view(b, n, 3, HEADS, D // HEADS).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / (D // HEADS) ** 0.5
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, D)
        x = x + self.output(mixed)
        return x + self.contract(F.gelu(self.expand(self.mlp_norm(x))))


class Tower(nn.Module):
    def __init__(self, tokens):
        super().__init__()
        self.positions = nn.Parameter(torch.randn(tokens, D) * 0.02)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm, self.head = nn.LayerNorm(D), nn.Linear(D, D, bias=False)

    def forward(self, x):
        return self.head(self.norm(self.blocks(x + self.positions)).mean(1))


class Clip(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Linear(CHANNELS * PATCH * PATCH, D)
        self.words = nn.Embedding(VOCABULARY, D)
        self.image, self.text = Tower((SIZE // PATCH) ** 2), Tower(TOKENS)

    def forward(self, images, ids):
        side = SIZE // PATCH
        patches = images.view(B, CHANNELS, side, PATCH, side, PATCH).permute(0, 2, 4, 1, 3, 5).reshape(B, side * side, -1)
        a = F.normalize(self.image(self.patches(patches)), dim=-1)
        b = F.normalize(self.text(self.words(ids)), dim=-1)
        logits = a @ b.T / model_config["temperature"]
        target = torch.arange(B)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


clip = Clip()
images = torch.rand(B, CHANNELS, SIZE, SIZE)
ids = torch.randint(0, VOCABULARY, (B, TOKENS))
optimiser = torch.optim.Adam(clip.parameters(), lr=model_config["learningRate"])
try:
    optimiser = torch.optim.Adam(clip.parameters(), lr=model_config["learningRate"], foreach=True)
except TypeError:
    pass

for line in sys.stdin:
    milliseconds = []
    loss = torch.tensor(0.0)
    for _ in range(int(line)):
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        loss = clip(images, ids)
        loss.backward()
        optimiser.step()
        milliseconds.append((time.perf_counter() - start) * 1000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    reply = {"name": f"PyTorch {torch.__version__}", "milliseconds": milliseconds, "loss": float(loss), "peakMemory": peak}
    print(json.dumps(reply), flush=True)
