"""The benchmark's step in PyTorch (eager), driven like every other engine: a number of steps a line.

Without arguments it says as JSON which PyTorch this Python has and which BLAS that computes with.
"""

import json
import resource
import struct
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


def blas():
    """Name of the library behind matrix products: what PyTorch was built with, else what the process has loaded."""
    built = dict(part.strip().split("=", 1) for part in torch.__config__.show().split(",") if "=" in part)
    name = next((value for key, value in built.items() if key.endswith("BLAS_INFO")), "unknown")
    if name not in ("generic", "unknown"):
        return name
    torch.ones(64, 64) @ torch.ones(64, 64)
    try:
        with open("/proc/self/maps", encoding="utf8") as maps:
            paths = {line.split()[-1].lower() for line in maps if "/" in line and "blas" in line.split()[-1].lower()}
    except OSError:
        return name
    for library, label in (("openblas", "OpenBLAS"), ("flexiblas", "FlexiBLAS"), ("blis", "BLIS"), ("atlas", "ATLAS")):
        if any(library in path for path in paths):
            return label
    return "reference BLAS" if any("libblas" in path for path in paths) else name


if len(sys.argv) == 1:
    print(json.dumps({"version": torch.__version__, "blas": blas()}))
    sys.exit()

config, state_file, threads = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
torch.set_num_threads(threads)
torch.set_flush_denormal(True)

B, D = config["batch"], config["width"]
HEADS, LAYERS, EXPANSION = config["heads"], config["layers"], config["expansion"]
SIZE, PATCH, CHANNELS = config["imageSize"], config["patchSize"], config["channels"]
TOKENS, VOCABULARY = config["textTokens"], config["vocabulary"]


def read_state(path):
    """The arrays of a safetensors file by name."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    dtypes = {"F32": torch.float32, "I32": torch.int32}
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(data, dtype=dtypes[entry["dtype"]], count=(end - begin) // 4, offset=begin)
        arrays[name] = flat.reshape(entry["shape"]).clone()
    return arrays


state = read_state(state_file)


def parameter(name):
    return nn.Parameter(state[f"/params/{name}"])


def linear(name, bias=True):
    weight = state[f"/params/{name}/weight"]
    layer = nn.Linear(*weight.shape, bias=bias)
    layer.weight.data = weight.T.contiguous()
    if bias:
        layer.bias.data = state[f"/params/{name}/bias"]
    return layer


def layer_norm(name):
    layer = nn.LayerNorm(D, eps=1e-5)
    layer.weight.data, layer.bias.data = state[f"/params/{name}/gain"], state[f"/params/{name}/bias"]
    return layer


def attend(q, k, v):
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v)
    scores = (q * (D // HEADS) ** -0.5) @ k.transpose(-1, -2)
    return scores.softmax(-1) @ v


class Block(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.attention_norm, self.mlp_norm = layer_norm(f"{name}/attentionNorm"), layer_norm(f"{name}/mlpNorm")
        self.qkv, self.output = linear(f"{name}/attention/qkv"), linear(f"{name}/attention/output")
        self.expand, self.contract = linear(f"{name}/expand"), linear(f"{name}/contract")

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = self.qkv(self.attention_norm(x)).view(b, n, 3, HEADS, D // HEADS).permute(2, 0, 3, 1, 4)
        x = x + self.output(attend(q, k, v).transpose(1, 2).reshape(b, n, D))
        return x + self.contract(F.gelu(self.expand(self.mlp_norm(x))))


class Tower(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.positions = parameter(f"{name}/positions")
        self.blocks = nn.Sequential(*[Block(f"{name}/blocks/layers/{i}") for i in range(LAYERS)])
        self.norm, self.head = layer_norm(f"{name}/blocks/finalNorm"), linear(f"{name}/head", bias=False)

    def forward(self, x):
        return self.head(self.norm(self.blocks(x + self.positions)).mean(1))


class Clip(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches, self.words = linear("image/patches"), parameter("text/words/table")
        self.image, self.text = Tower("image"), Tower("text")

    def forward(self, images, ids):
        side = SIZE // PATCH
        grid = images.view(B, CHANNELS, side, PATCH, side, PATCH).permute(0, 2, 4, 1, 3, 5)
        a = F.normalize(self.image(self.patches(grid.reshape(B, side * side, -1))), dim=-1)
        b = F.normalize(self.text(F.embedding(ids, self.words)), dim=-1)
        logits = a @ b.T / config["temperature"]
        target = torch.arange(B)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


clip = Clip()
images, ids = state["/images"], state["/ids"].long()
optimiser = torch.optim.Adam(clip.parameters(), lr=config["learningRate"], foreach=True)
name = f"PyTorch {torch.__version__} eager, {blas()}"

for line in sys.stdin:
    milliseconds, losses = [], []
    for _ in range(int(line)):
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        loss = clip(images, ids)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        milliseconds.append((time.perf_counter() - start) * 1000)
    # In KiB, on macOS in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(json.dumps({"name": name, "milliseconds": milliseconds, "losses": losses, "peakMemory": peak}), flush=True)
