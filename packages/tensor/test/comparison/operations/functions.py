"""Activations, trigonometric and exact elementwise functions."""

import torch
import torch.nn.functional as F

from .basic import binary, unary


def by_division(rounding):
    return lambda a, b: a - b * torch.div(a, b, rounding_mode=rounding)


def hard_sigmoid(x):
    """As F.hardsigmoid, whose gradient rounds 1 / 6 to float32."""
    return torch.where(x.abs() < 3, x / 6 + 0.5, (x > 0).to(x.dtype))


def prelu(inputs, attributes):
    x, slope = inputs
    if slope.numel() > 1 and x.dim() > 1:
        slope = slope.reshape([1, -1, *[1] * (x.dim() - 2)])
    return torch.where(x > 0, x, slope * x)


def standardize(inputs, attributes):
    return F.layer_norm(inputs[0], inputs[0].shape[-1:], eps=attributes.get("epsilon", 1e-5))


OPERATIONS = {
    "leakyRelu": lambda inputs, a: F.leaky_relu(inputs[0], a.get("slope", 0.01)),
    "prelu": prelu,
    "elu": lambda inputs, a: F.elu(inputs[0], a.get("alpha", 1)),
    "selu": unary(F.selu),
    "celu": lambda inputs, a: F.celu(inputs[0], a.get("alpha", 1)),
    "silu": unary(F.silu),
    "mish": unary(F.mish),
    "hardSigmoid": unary(hard_sigmoid),
    "hardSwish": unary(F.hardswish),
    # As Concord, with the gradient 1 on the bounds themselves, where F.hardtanh has 0.
    "hardTanh": unary(lambda x: torch.clamp(x, -1, 1)),
    "softsign": unary(F.softsign),
    "geluTanh": unary(lambda x: F.gelu(x, approximate="tanh")),
    "reciprocal": unary(torch.reciprocal),
    "rsqrt": unary(torch.rsqrt),
    "expm1": unary(torch.expm1),
    "log1p": unary(torch.log1p),
    "ceil": unary(torch.ceil),
    "round": unary(torch.round),
    "trunc": unary(torch.trunc),
    "isNan": unary(torch.isnan),
    "isInf": unary(torch.isinf),
    "isFiniteValue": unary(torch.isfinite),
    "fmod": binary(by_division("trunc")),
    "remainder": binary(by_division("floor")),
    "clampMin": lambda inputs, a: torch.clamp(inputs[0], min=a["low"]),
    "clampMax": lambda inputs, a: torch.clamp(inputs[0], max=a["high"]),
    "nanToNum": unary(torch.nan_to_num),
    "notEqual": binary(torch.ne),
    "logicalXor": binary(torch.logical_xor),
    "tan": unary(torch.tan),
    "asin": unary(torch.asin),
    "acos": unary(torch.acos),
    "atan": unary(torch.atan),
    "atan2": binary(torch.atan2),
    "sinh": unary(torch.sinh),
    "cosh": unary(torch.cosh),
    "asinh": unary(torch.asinh),
    "acosh": unary(torch.acosh),
    "atanh": unary(torch.atanh),
    "standardize": standardize,
}
