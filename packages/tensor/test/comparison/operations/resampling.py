"""Resizing, box filters, sampling at places."""

import torch
import torch.nn.functional as F

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
POOLS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
SAMPLING = {"linear": "bilinear", "nearest": "nearest"}


def resize(inputs, attributes):
    x = inputs[0]
    mode = attributes.get("mode", "linear")
    name = {"nearest": "nearest", "cubic": "bicubic", "linear": LINEAR[x.dim() - 2]}[mode]
    options = {"align_corners": attributes.get("alignCorners", False)} if mode != "nearest" else {}
    if attributes.get("antialias"):
        options["antialias"] = True
    return F.interpolate(x, attributes.get("size"), attributes.get("scale"), name, **options)


def box_filter(inputs, attributes):
    size = attributes["size"]
    counted = attributes.get("border", "zeros") == "zeros"
    padding = [n // 2 for n in size]
    return POOLS[len(size)](inputs[0], size, stride=1, padding=padding, count_include_pad=counted)


def sample(x, grid, attributes, corners):
    mode, padding = attributes.get("mode", "linear"), attributes.get("padding", "zeros")
    return F.grid_sample(x, grid, SAMPLING[mode], padding, corners)


def warp(inputs, attributes):
    x, field = inputs
    sizes = x.shape[2:]
    lines = torch.meshgrid(*[torch.arange(n, dtype=x.dtype) for n in sizes], indexing="ij")
    pixels = torch.stack([line + field[:, i] for i, line in enumerate(lines)], -1)
    grid = ((2 * pixels + 1) / torch.tensor(sizes, dtype=x.dtype) - 1).flip(-1)
    return sample(x, grid, attributes, False)


def affine_grid(inputs, attributes):
    size = [inputs[0].shape[0], 1, *attributes["size"]]
    return F.affine_grid(inputs[0], size, align_corners=attributes.get("alignCorners", False))


OPERATIONS = {
    "resize": resize,
    "boxFilter": box_filter,
    "gridSample": lambda inputs, a: sample(*inputs, a, a.get("alignCorners", False)),
    "warp": warp,
    "affineGrid": affine_grid,
}
