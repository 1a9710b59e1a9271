"""Arithmetic, reductions, structure, indexing, products and norms."""

import torch
import torch.nn.functional as F


def unary(function):
    return lambda inputs, attributes: function(inputs[0])


def binary(function):
    return lambda inputs, attributes: function(inputs[0], inputs[1])


def along_axis(function):
    return lambda inputs, attributes: function(inputs[0], attributes.get("axis", -1))


def axes_of(x, attributes):
    axes = attributes.get("axes")
    if axes is None:
        return list(range(x.dim()))
    return [axes] if isinstance(axes, int) else axes


def reduction(function):
    """`function(x, dims, keep)` over the axes; without axes x itself, as torch would reduce over all."""

    def reduce(inputs, attributes):
        x, axes = inputs[0], axes_of(inputs[0], attributes)
        if x.dim() == 0:
            return function(x.reshape(1), [0], False)
        return function(x, axes, attributes.get("keepDims", False)) if axes else x

    return reduce


def mean_square(x, axes, keep):
    return (x - x.mean(axes, keepdim=True)).pow(2).mean(axes, keepdim=keep)


def norm(inputs, attributes):
    squares = reduction(torch.sum)([inputs[0] * inputs[0]], attributes)
    return torch.sqrt(squares + attributes.get("epsilon", 0))


def power(inputs, attributes):
    return torch.pow(inputs[0], attributes["exponent"])


def cast(inputs, attributes):
    return inputs[0].to({"int32": torch.int32, "int64": torch.int64, "bool": torch.bool}[attributes["dtype"]])


def reshape(inputs, attributes):
    return inputs[0].reshape(attributes["shape"])


def slices(inputs, attributes):
    steps = attributes.get("steps") or [1] * inputs[0].dim()
    return inputs[0][tuple(slice(*bounds) for bounds in zip(attributes["starts"], attributes["ends"], steps))]


def padded(inputs, attributes):
    order = [n for pair in reversed(attributes["amounts"]) for n in pair]
    return F.pad(inputs[0], order, value=attributes["value"])


def transposed(inputs, attributes):
    return inputs[0].permute(attributes["order"]) if attributes.get("order") else inputs[0].mT


def split(inputs, attributes):
    size = inputs[0].shape[attributes["axis"]]
    return inputs[0].split(size // attributes["parts"], attributes["axis"])


def squeezed(inputs, attributes):
    return inputs[0].squeeze(attributes["axis"])


def gathered(inputs, attributes):
    x, indices = inputs
    axis = attributes["axis"] % x.dim()
    rows = torch.index_select(x, axis, indices.long().reshape(-1))
    return rows.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def segment_sum(inputs, attributes):
    x, ids = inputs
    zeros = torch.zeros((attributes["segments"], *x.shape[1:]), dtype=x.dtype)
    return zeros.index_add(0, ids.long(), x)


def scatter_add(inputs, attributes):
    zeros = torch.zeros(attributes["shape"], dtype=inputs[0].dtype)
    return zeros.scatter_add(attributes["axis"], inputs[1].long(), inputs[0])


def one_hot(inputs, attributes):
    return (inputs[0].unsqueeze(-1) == torch.arange(attributes["depth"])).to(torch.get_default_dtype())


def product(inputs, attributes):
    a = inputs[0].mT if attributes.get("transposeA") else inputs[0]
    b = inputs[1].mT if attributes.get("transposeB") else inputs[1]
    return attributes.get("scale", 1) * torch.matmul(a, b)


def layer_norm(inputs, attributes):
    x, gain, bias = inputs
    return F.layer_norm(x, x.shape[-1:], gain, bias, attributes.get("epsilon", 1e-5))


def over_channels(vector, x):
    return vector.reshape([1, -1, *[1] * (x.dim() - 2)])


def fixed_norm(x, gain, bias, mean, variance, epsilon):
    mean, variance, gain, bias = (over_channels(v, x) for v in (mean, variance, gain, bias))
    return (x - mean) / torch.sqrt(variance + epsilon) * gain + bias


def batch_norm(inputs, attributes):
    x, gain, bias, mean, variance = inputs
    momentum, epsilon = attributes.get("momentum", 0.1), attributes.get("epsilon", 1e-5)
    axes = [axis for axis in range(x.dim()) if axis != 1]
    count = x.numel() // x.shape[1]
    average, spread = x.mean(axes), mean_square(x, axes, False)
    unbiased = spread * count / max(count - 1, 1)
    running = [(1 - momentum) * old + momentum * new for old, new in ((mean, average), (variance, unbiased))]
    return [fixed_norm(x, gain, bias, average, spread, epsilon), *(new.detach() for new in running)]


def batch_norm_inference(inputs, attributes):
    return fixed_norm(*inputs, attributes.get("epsilon", 1e-5))


def l2_normalize(inputs, attributes):
    x = inputs[0]
    return x / torch.sqrt((x * x).sum(-1, keepdim=True) + attributes.get("epsilon", 1e-12))


OPERATIONS = {
    "add": binary(torch.add),
    "sub": binary(torch.sub),
    "mul": binary(torch.mul),
    "div": binary(torch.div),
    "maximum": binary(torch.maximum),
    "minimum": binary(torch.minimum),
    "greater": binary(torch.gt),
    "greaterOrEqual": binary(torch.ge),
    "less": binary(torch.lt),
    "lessOrEqual": binary(torch.le),
    "equal": binary(torch.eq),
    "logicalAnd": binary(torch.logical_and),
    "logicalOr": binary(torch.logical_or),
    "logicalNot": unary(torch.logical_not),
    "neg": unary(torch.neg),
    "pow": power,
    "cast": cast,
    "where": lambda inputs, attributes: torch.where(*inputs),
    "clamp": lambda inputs, attributes: torch.clamp(inputs[0], attributes["low"], attributes["high"]),
    "stopGradient": unary(lambda x: x.detach()),
    "exp": unary(torch.exp),
    "log": unary(torch.log),
    "sqrt": unary(torch.sqrt),
    "tanh": unary(torch.tanh),
    "sigmoid": unary(torch.sigmoid),
    "erf": unary(torch.erf),
    "relu": unary(torch.relu),
    "abs": unary(torch.abs),
    "sin": unary(torch.sin),
    "cos": unary(torch.cos),
    "softplus": unary(F.softplus),
    "floor": unary(torch.floor),
    "sign": unary(torch.sign),
    "square": unary(torch.square),
    "logSigmoid": unary(F.logsigmoid),
    "gelu": unary(F.gelu),
    "quickGelu": unary(lambda x: x * torch.sigmoid(1.702 * x)),
    "sum": reduction(torch.sum),
    "mean": reduction(torch.mean),
    "max": reduction(torch.amax),
    "min": reduction(torch.amin),
    "logSumExp": reduction(torch.logsumexp),
    "variance": reduction(mean_square),
    "norm": norm,
    "softmax": along_axis(torch.softmax),
    "logSoftmax": along_axis(torch.log_softmax),
    "argmax": along_axis(torch.argmax),
    "softmaxCrossEntropy": binary(lambda x, target: -(target * torch.log_softmax(x, -1)).sum(-1)),
    "reshape": reshape,
    "broadcastTo": lambda inputs, attributes: inputs[0].expand(attributes["shape"]),
    "sumTo": lambda inputs, attributes: inputs[0].sum_to_size(attributes["shape"]),
    "transpose": transposed,
    "expandDims": along_axis(torch.unsqueeze),
    "squeeze": squeezed,
    "slice": slices,
    "narrow": lambda inputs, a: inputs[0].narrow(a["axis"], a["start"], a["length"]),
    "split": split,
    "pad": padded,
    "concat": lambda inputs, attributes: torch.cat(inputs, attributes["axis"]),
    "stack": lambda inputs, attributes: torch.stack(inputs, attributes["axis"]),
    "gather": gathered,
    "segmentSum": segment_sum,
    "takeAlong": lambda inputs, attributes: torch.gather(inputs[0], attributes["axis"], inputs[1].long()),
    "scatterAddAlong": scatter_add,
    "oneHot": one_hot,
    "matmul": product,
    "dot": binary(torch.dot),
    "outer": binary(torch.outer),
    "layerNorm": layer_norm,
    "batchNorm": batch_norm,
    "batchNormInference": batch_norm_inference,
    "l2Normalize": l2_normalize,
}
