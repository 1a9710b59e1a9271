"""Reductions under masks, sparsemax, losses."""

import torch
import torch.nn.functional as F

from .basic import reduction

HIDDEN = -1e30


def hide(x, mask, fill=HIDDEN):
    return torch.where(mask, x, torch.full_like(x, fill))


def softmax(inputs, attributes):
    x, mask = inputs
    return hide(torch.softmax(hide(x, mask), attributes["axis"]), mask, 0)


def log_softmax(inputs, attributes):
    x, mask = inputs
    return hide(torch.log_softmax(hide(x, mask), attributes["axis"]), mask, 0)


def log_sum_exp(inputs, attributes):
    x, mask = inputs
    found = reduction(torch.logsumexp)([hide(x, mask)], attributes)
    return torch.where(count(x, mask, attributes) > 0, found, torch.zeros_like(found))


def mean(inputs, attributes):
    x, mask = inputs
    return reduction(torch.sum)([hide(x, mask, 0)], attributes) / count(x, mask, attributes).clamp(min=1)


def count(x, mask, attributes):
    return reduction(torch.sum)([mask.expand(x.shape).to(x.dtype)], attributes)


def sparsemax(inputs, attributes):
    rows = inputs[0].movedim(attributes["axis"], -1)
    ordered = rows.sort(-1, descending=True).values
    places = torch.arange(1, rows.shape[-1] + 1, dtype=rows.dtype)
    support = (1 + places * ordered > ordered.cumsum(-1)).to(rows.dtype)
    size = support.sum(-1, keepdim=True)
    threshold = ((ordered * support).sum(-1, keepdim=True) - 1) / size
    return torch.relu(rows - threshold).movedim(-1, attributes["axis"])


def bce_with_logits(inputs, attributes):
    x, t, *factors = inputs
    weight = factors[0] if attributes["weighted"] else 1
    positive = factors[-1] if attributes["positive"] else 1
    return -weight * (positive * t * F.logsigmoid(x) + (1 - t) * F.logsigmoid(-x))


def cross_entropy(inputs, attributes):
    x, t, *weights = inputs
    x, t = x.movedim(attributes["axis"], -1), t.long()
    factors = weights[0] if weights else torch.ones(x.shape[-1], dtype=x.dtype)
    counts = t != attributes.get("ignoreIndex", -100)
    of_target = factors[t] * counts
    log_p = torch.log_softmax(x, -1)
    smoothing = attributes.get("labelSmoothing", 0)
    loss = -log_p.gather(-1, t.unsqueeze(-1)).squeeze(-1) * of_target * (1 - smoothing)
    loss = loss - smoothing * (log_p * factors).mean(-1) * counts
    kind = attributes["reduction"]
    return loss if kind == "none" else loss.sum() / (of_target.sum() if kind == "mean" else 1)


OPERATIONS = {
    "maskedSoftmax": softmax,
    "maskedLogSoftmax": log_softmax,
    "maskedLogSumExp": log_sum_exp,
    "maskedMean": mean,
    "sparsemax": sparsemax,
    "bceWithLogits": bce_with_logits,
    "crossEntropy": cross_entropy,
    "smoothL1": lambda inputs, a: F.smooth_l1_loss(*inputs, beta=a["beta"], reduction="none"),
    "mse": lambda inputs, a: F.mse_loss(*inputs),
    "sumSquares": reduction(lambda x, axes, keep: (x * x).sum(axes, keepdim=keep)),
}
