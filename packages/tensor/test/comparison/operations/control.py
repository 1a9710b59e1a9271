"""Operations that change gradients, and norms of channels."""

import torch

from .basic import over_channels


def with_gradient(forward, backward):
    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return forward(x)

        @staticmethod
        def backward(context, dy):
            return backward(dy)

    return Rule.apply


def scaled(factor):
    return with_gradient(lambda x: x.clone(), lambda dy: factor * dy)


def clamped(limit):
    return with_gradient(lambda x: x.clone(), lambda dy: dy.clamp(-limit, limit))


def recomputed(inputs, attributes):
    hidden = torch.tanh(inputs[0] @ inputs[1])
    return [hidden, hidden**2 + torch.sin(inputs[0])]


def standardized(x, axes, epsilon):
    centred = x - x.mean(axes, keepdim=True)
    return centred / torch.sqrt((centred * centred).mean(axes, keepdim=True) + epsilon)


def norm(groups):
    """Statistics over the space and the channels of one group; `groups` of C says how many there are."""

    def apply(inputs, attributes):
        x, gain, bias = inputs
        count = groups(attributes, x.shape[1])
        parted = x.reshape([x.shape[0], count, x.shape[1] // count, *x.shape[2:]])
        z = standardized(parted, list(range(2, parted.dim())), attributes["epsilon"])
        return z.reshape(x.shape) * over_channels(gain, x) + over_channels(bias, x)

    return apply


def batch_statistics_norm(inputs, attributes):
    x, gain, bias = inputs
    axes = [axis for axis in range(x.dim()) if axis != 1]
    return standardized(x, axes, attributes["epsilon"]) * over_channels(gain, x) + over_channels(bias, x)


def rms_norm(inputs, attributes):
    x, gain = inputs
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + attributes["epsilon"]) * gain


def weight_norm(inputs, attributes):
    v, g = inputs
    axis = attributes["axis"] % v.dim()
    others = [i for i in range(v.dim()) if i != axis]
    squares = (v * v).sum(others, keepdim=True) if others else v * v
    return v / torch.sqrt(squares + attributes["epsilon"]) * g.reshape([-1 if i == axis else 1 for i in range(v.dim())])


OPERATIONS = {
    "straightThrough": lambda inputs, a: inputs[1] + (inputs[0] - inputs[1]).detach(),
    "gradientReversal": lambda inputs, a: scaled(-a.get("scale", 1))(inputs[0]),
    "scaleGradient": lambda inputs, a: scaled(a["factor"])(inputs[0]),
    "clampGradient": lambda inputs, a: clamped(a["limit"])(inputs[0]),
    "customGradient": lambda inputs, a: inputs[0] ** 3,
    "recompute": recomputed,
    "groupNorm": norm(lambda a, channels: a["groups"]),
    "instanceNorm": norm(lambda a, channels: channels),
    "globalLayerNorm": norm(lambda a, channels: 1),
    "batchStatisticsNorm": batch_statistics_norm,
    "rmsNorm": rms_norm,
    "weightNorm": weight_norm,
}
