"""What the steps in PyTorch share: the state file, the protocol of engine-process.ts, layers with given numbers.

Run by itself it says as JSON which PyTorch this Python has and which BLAS that computes with.
"""

import json
import re
import resource
import struct
import sys
import time

import torch
from torch import nn


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


def memory(mark):
    """Resident memory of this process in MiB: VmRSS now, VmHWM at its peak."""
    try:
        with open("/proc/self/status", encoding="utf8") as status:
            return int(re.search(mark + r":\s+(\d+) kB", status.read()).group(1)) / 1024
    except OSError:
        # In KiB, on macOS in bytes. There is no current size to be had, so that the base is the peak so far.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)


def read_state(path):
    """The arrays of a safetensors file by path, such as params/head/weight."""
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
        arrays[name[1:]] = flat.reshape(entry["shape"]).clone()
    return arrays


def linear(state, path, bias=True):
    """An affine layer; Concord keeps weights as [inputs, outputs]."""
    weight = state[f"{path}/weight"]
    layer = nn.Linear(*weight.shape, bias=bias)
    layer.weight.data = weight.T.contiguous()
    if bias:
        layer.bias.data = state[f"{path}/bias"]
    return layer


def with_parameters(layer, weight, bias):
    """A normalisation with the given gain and bias."""
    layer.weight.data, layer.bias.data = weight, bias
    return layer


def serve(build):
    """Answers requests for steps.

    build(model, state) makes a function that runs one step and returns its loss as a tensor. It runs within the first
    step, so that its time counts there and its memory above the base.
    """
    model, state_file, threads = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    name = f"PyTorch {torch.__version__} eager, {blas()}"
    base, step = memory("VmRSS"), None
    for line in sys.stdin:
        milliseconds, losses = [], []
        for _ in range(int(line)):
            start = time.perf_counter()
            if step is None:
                step = build(model, read_state(state_file))
            losses.append(step().item())
            milliseconds.append((time.perf_counter() - start) * 1000)
        reply = {"name": name, "milliseconds": milliseconds, "losses": losses}
        print(json.dumps({**reply, "peakMemory": memory("VmHWM"), "baseMemory": base}), flush=True)


def minimise(module, optimiser, loss_of):
    """The usual step: gradients of loss_of(module), then an update."""

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of(module)
        loss.backward()
        optimiser.step()
        return loss

    return step


if __name__ == "__main__":
    print(json.dumps({"version": torch.__version__, "blas": blas()}))
