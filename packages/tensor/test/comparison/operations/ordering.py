"""Sorting, running sums, segments, writes at indices, moved entries, Einstein sums."""

import torch

from .basic import along_axis


def running(function, neutral):
    def apply(inputs, attributes):
        x, axis = inputs[0], attributes["axis"]
        x = x.flip(axis) if attributes.get("reverse") else x
        y = function(x, axis)
        if attributes.get("exclusive"):
            first = torch.full_like(y.narrow(axis, 0, 1), neutral)
            y = torch.cat([first, y.narrow(axis, 0, y.shape[axis] - 1)], axis)
        return y.flip(axis) if attributes.get("reverse") else y

    return apply


def top(inputs, attributes):
    return torch.topk(inputs[0], attributes["k"], attributes.get("axis", -1), attributes.get("largest", True))


def ordered(part):
    def apply(inputs, a):
        x, axis, descending = inputs[0], a.get("axis", -1), a.get("descending", False)
        return torch.sort(x, dim=axis, descending=descending, stable=True)[part]

    return apply


def search_sorted(inputs, attributes):
    boundaries, values = (x.detach() for x in inputs)
    boundaries = boundaries.expand([*values.shape[:-1], boundaries.shape[-1]])
    return torch.searchsorted(boundaries.contiguous(), values.contiguous(), right=attributes["right"])


def of_segments(reduce):
    def apply(inputs, attributes):
        x, ids = inputs
        none = torch.full(x.shape[1:], attributes.get("empty", 0), dtype=x.dtype)
        rows = [x[ids == segment] for segment in range(attributes["segments"])]
        return torch.stack([reduce(part) if len(part) else none for part in rows])

    return apply


def segment_softmax(inputs, attributes):
    x, ids = inputs
    y = torch.zeros_like(x)
    for segment in ids.unique():
        inside = torch.nonzero(ids == segment).reshape(-1)
        y = y.index_copy(0, inside, torch.softmax(x[inside], 0))
    return y


def pairs(inputs, attributes):
    s = inputs[0] @ inputs[1].T
    diagonal = torch.diagonal(s)
    return [torch.logsumexp(s, 1) - diagonal, torch.logsumexp(s, 0) - diagonal, diagonal]


OPERATIONS = {
    "cumsum": running(torch.cumsum, 0),
    "cumprod": running(torch.cumprod, 1),
    "topK": top,
    "sort": ordered(0),
    "argsort": ordered(1),
    "argmin": along_axis(torch.argmin),
    "searchSorted": search_sorted,
    "segmentMean": of_segments(lambda rows: rows.mean(0)),
    "segmentMax": of_segments(lambda rows: rows.amax(0)),
    "segmentSoftmax": segment_softmax,
    "scatterSet": lambda inputs, a: inputs[0].index_copy(a["axis"], inputs[1].long(), inputs[2]),
    "scatterSetAlong": lambda inputs, a: inputs[0].scatter(a["axis"], inputs[1].long(), inputs[2]),
    "gatherNd": lambda inputs, a: inputs[0][tuple(inputs[1].long().movedim(-1, 0))],
    "flip": lambda inputs, a: inputs[0].flip(a["axes"]),
    "roll": lambda inputs, a: torch.roll(inputs[0], a["shift"], a["axis"]),
    "tile": lambda inputs, a: inputs[0].repeat(a["repeats"]),
    "repeat": lambda inputs, a: torch.repeat_interleave(inputs[0], a["times"], a["axis"]),
    "tril": lambda inputs, a: torch.tril(inputs[0], a["offset"]),
    "triu": lambda inputs, a: torch.triu(inputs[0], a["offset"]),
    "diagonal": lambda inputs, a: torch.diagonal(inputs[0], a["offset"], -2, -1),
    "diagonalMatrix": lambda inputs, a: torch.diag_embed(inputs[0]),
    "trace": lambda inputs, a: torch.diagonal(inputs[0], 0, -2, -1).sum(-1),
    "meshgrid": lambda inputs, a: torch.meshgrid(*inputs, indexing="ij"),
    "einsum": lambda inputs, a: torch.einsum(a["equation"], *inputs),
    "pairLogSumExp": pairs,
}
