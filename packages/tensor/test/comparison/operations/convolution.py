"""Convolutions, their transposes, pools."""

import torch.nn.functional as F


def same(x, weights, attributes):
    """Borders that make ceil(size / stride) windows, the odd one at the far end, as F.pad wants them."""
    axes = x.dim() - 2
    per_axis = lambda value: [value] * axes if isinstance(value, int) else value
    stride, dilation = per_axis(attributes.get("stride", 1)), per_axis(attributes.get("dilation", 1))
    borders = []
    for n, k, s, d in zip(x.shape[2:], weights.shape[2:], stride, dilation):
        total = max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
        borders.insert(0, (total // 2, total - total // 2))
    return [n for border in borders for n in border]


def options(attributes, *names):
    return {name: attributes[name] for name in names if name in attributes}


def convolution(function):
    def convolve(inputs, attributes):
        x, weights, bias = [*inputs, None][:3]
        padding = attributes.get("padding", 0)
        if padding == "same":
            x, padding = F.pad(x, same(x, weights, attributes)), 0
        elif isinstance(padding, list) and any(isinstance(border, list) for border in padding):
            sides = [border if isinstance(border, list) else [border, border] for border in padding]
            x, padding = F.pad(x, [n for border in reversed(sides) for n in border]), 0
        return function(x, weights, bias, padding=padding, **options(attributes, "stride", "dilation", "groups"))

    return convolve


def transposed(function):
    def convolve(inputs, attributes):
        x, weights, bias = [*inputs, None][:3]
        given = options(attributes, "stride", "padding", "dilation", "groups")
        return function(x, weights, bias, output_padding=attributes.get("outputPadding", 0), **given)

    return convolve


def largest(function):
    return lambda inputs, a: function(inputs[0], a["size"], a.get("stride"), a.get("padding", 0))


def average(function):
    def pool(inputs, a):
        counted = a.get("countPadding", True)
        return function(inputs[0], a["size"], a.get("stride"), a.get("padding", 0), count_include_pad=counted)

    return pool


def flat(x):
    return x.reshape(*x.shape[:2], -1)


OPERATIONS = {
    "globalAveragePool": lambda inputs, a: flat(inputs[0]).mean(-1),
    "globalMaxPool": lambda inputs, a: flat(inputs[0]).max(-1).values,
}
for axes in (1, 2, 3):
    OPERATIONS[f"conv{axes}d"] = convolution(getattr(F, f"conv{axes}d"))
    OPERATIONS[f"convTranspose{axes}d"] = transposed(getattr(F, f"conv_transpose{axes}d"))
    OPERATIONS[f"maxPool{axes}d"] = largest(getattr(F, f"max_pool{axes}d"))
    OPERATIONS[f"averagePool{axes}d"] = average(getattr(F, f"avg_pool{axes}d"))
