"""Rebuilds random programs in PyTorch and compares values and gradients with those that Concord wrote.

    node --conditions=source write-cases.ts --count 500 --seed 7 cases.jsonl
    python3 compare.py cases.jsonl        (needs torch, any version from 1.13)

Each program is compared twice. As a whole: PyTorch computes it in float64 from the inputs, and its value and the
gradients of all inputs must agree. Step by step: PyTorch applies each operation to the operands that Concord had, and
its vector-Jacobian product to the gradients that Concord had, so that an error shows at the operation that made it.
The table lists the worst error of every operation. Exits with status 1 when anything differs.
"""

import collections
import json
import math
import sys

import torch

from operations import OPERATIONS

DTYPES = {"int32": torch.int32, "int64": torch.int64, "bool": torch.bool, "uint8": torch.uint8}

# Largest error of one operation, relative to the largest entry of its result (at least 1).
STEP = {"float64": 1e-10, "float32": 1e-5}
# Whole programs: the same, and beyond it what PyTorch's own float32 loses, times this.
WHOLE = {"float64": 1e-8, "float32": 2e-3}
SLACK = 30


def decode(array, precision="float64", dtype=torch.float64):
    """An array whose numbers Concord had in this precision; floats come as `dtype`."""
    if "dtype" in array:
        return torch.tensor(array["data"], dtype=DTYPES[array["dtype"]]).reshape(array["shape"])
    data = torch.tensor([float(v) for v in array["data"]], dtype=torch.float64)
    return data.to(getattr(torch, precision)).to(dtype).reshape(array["shape"])


def error(found, wanted):
    """Largest difference relative to the largest entry of `wanted`; NaN and infinities must stand at equal places."""
    if list(found.shape) != list(wanted.shape):
        return math.inf
    if not wanted.is_floating_point():
        return 0.0 if torch.equal(found.to(torch.int64), wanted.to(torch.int64)) else math.inf
    found, wanted = found.double(), wanted.double()
    finite = torch.isfinite(wanted)
    same = torch.equal(torch.nan_to_num(found[~finite], 7.25), torch.nan_to_num(wanted[~finite], 7.25))
    if not same or not bool(torch.isfinite(found[finite]).all()):
        return math.inf
    if not bool(finite.any()):
        return 0.0
    scale = max(1.0, float(wanted[finite].abs().max()))
    return float((found - wanted)[finite].abs().max()) / scale


def weights(y, k):
    index = torch.arange(y.numel(), dtype=torch.float64)
    return torch.cos(1 + 0.7 * index + k).to(y.dtype).reshape(y.shape)


def apply(step, operands):
    result = OPERATIONS[step["op"]](operands, step["attributes"])
    return list(result) if isinstance(result, (list, tuple)) else [result]


def outcomes(program):
    """The float results that no step reads."""
    read = {name for step in program["steps"] for name in step["operands"]}
    results = [result for step in program["steps"] for result in step["results"]]
    return [result["name"] for result in results if "dtype" not in result and result["name"] not in read]


def whole(program, precision, dtype):
    """All values and the gradients of the inputs, by name, computed in `dtype`."""
    torch.set_default_dtype(dtype)
    values = {name: decode(array, precision, dtype) for name, array in program["inputs"].items()}
    leaves = {name: x.requires_grad_() for name, x in values.items() if x.is_floating_point()}
    for step in program["steps"]:
        results = apply(step, [values[name] for name in step["operands"]])
        values.update(zip((result["name"] for result in step["results"]), results))
    objective = sum((weights(values[name], k) * values[name]).sum() for k, name in enumerate(outcomes(program)))
    if torch.is_tensor(objective) and objective.requires_grad:
        objective.backward()
    gradients = {name: torch.zeros_like(x) if x.grad is None else x.grad for name, x in leaves.items()}
    return {name: x.detach() for name, x in values.items()}, gradients


def compare_whole(case):
    """The worst error of the program as a whole, with what it is allowed to be."""
    program, tolerance = case["program"], WHOLE[case["float"]]
    values, gradients = whole(program, case["float"], torch.float64)
    single = whole(program, case["float"], torch.float32) if case["float"] == "float32" else None
    worst = (0.0, tolerance, "")
    for k, (wanted, stored) in enumerate([(values, case["values"]), (gradients, case["gradients"])]):
        for name, exact in wanted.items():
            if name not in stored:
                continue
            found = error(decode(stored[name]), exact)
            allowed = tolerance + (SLACK * error(single[k][name], exact) if single else 0)
            if found / allowed > worst[0] / worst[1]:
                worst = (found, allowed, f"{['value', 'gradient'][k]} of {name}")
    return worst


def compare_steps(case):
    """Yields (operation, error, what) for the value of every step and for the gradient of every operand."""
    program = case["program"]
    torch.set_default_dtype(torch.float64)
    arrays = {**program["inputs"], **case["values"]}
    stored = {name: decode(array, case["float"]) for name, array in arrays.items()}
    cotangents = {name: decode(array) for name, array in case["gradients"].items()}
    # Some steps return an operand itself, e.g. a slice of everything: two names of one value, with one gradient.
    root = lambda name: case["aliases"].get(name, name)
    expected = {name: torch.zeros_like(gradient) for name, gradient in cotangents.items()}
    readers = collections.defaultdict(set)
    for k, name in enumerate(outcomes(program)):
        if root(name) in expected:
            expected[root(name)] += weights(stored[name], k)
    for step in program["steps"]:
        operands = [stored[name].clone() for name in step["operands"]]
        floats = [i for i, x in enumerate(operands) if x.is_floating_point()]
        for i in floats:
            operands[i].requires_grad_()
        results = apply(step, operands)
        for result, y in zip(step["results"], results):
            yield step["op"], error(stored[result["name"]], y.detach()), f"value of {result['name']}"
        if len(results) != len(step["results"]):
            yield step["op"], math.inf, f"{len(step['results'])} results, not {len(results)}"
        pairs = [
            (y, cotangents[result["name"]])
            for result, y in zip(step["results"], results)
            if y.requires_grad and result["name"] in cotangents
        ]
        found = [None] * len(floats)
        if pairs:
            ys, dys = zip(*pairs)
            found = torch.autograd.grad(ys, [operands[i] for i in floats], dys, allow_unused=True)
        for i, gradient in zip(floats, found):
            name = root(step["operands"][i])
            readers[name].add(step["op"])
            if gradient is not None and name in expected:
                expected[name] = expected[name] + gradient
    for name, gradient in cotangents.items():
        for op in sorted(readers[name]):
            yield op, error(gradient, expected[name]), f"gradient of {name}"


def main(path):
    count, failures, missing = 0, [], collections.Counter()
    worst = {"float64": collections.defaultdict(float), "float32": collections.defaultdict(float)}
    used = collections.Counter()
    with open(path) as lines:
        for line in lines:
            case = json.loads(line)
            if "error" in case:
                count += 1
                failures.append((len(case["program"]["steps"]), case, f"Concord fails: {case['error']}"))
                continue
            unknown = {step["op"] for step in case["program"]["steps"]} - OPERATIONS.keys()
            missing.update(unknown)
            if unknown:
                continue
            count += 1
            size = len(case["program"]["steps"])
            used.update(step["op"] for step in case["program"]["steps"])
            try:
                found, allowed, where = compare_whole(case)
                steps = list(compare_steps(case))
            except (RuntimeError, TypeError, IndexError, KeyError, ValueError) as reason:
                failures.append((size, case, f"PyTorch refuses: {reason}"))
                continue
            if not found <= allowed:
                failures.append((size, case, f"whole program: {where}, error {found:.2g}"))
            for op, off, what in steps:
                table = worst[case["float"]]
                table[op] = max(table[op], off)
                if not off <= STEP[case["float"]]:
                    failures.append((size, case, f"{op} ({what.split()[0]}): {what}, error {off:.2g}"))

    print(f"{'operation':24}{'uses':>7}{'worst relative error':>24}")
    print(f"{'':24}{'':>7}{'float64':>12}{'float32':>12}")
    for op in sorted(used):
        cells = [f"{table[op]:12.1e}" if op in table else f"{'-':>12}" for table in worst.values()]
        print(f"{op:24}{used[op]:7}{''.join(cells)}")
    shown = set()
    for _, case, what in sorted(failures, key=lambda failure: failure[0]):
        kind = what.split(":")[0]
        if kind not in shown and len(shown) < 12:
            print(f"\nDIFFERS {what} (seed {case['seed']}, {case['float']})\n{json.dumps(case['program'])}")
        shown.add(kind)
    for op, times in missing.items():
        print(f"\nMISSING in operations.py: {op} ({times} programs)")
    wrong = len({case["seed"] for _, case, _ in failures})
    print(f"\n{count} programs compared with PyTorch {torch.__version__}, {wrong} differ; {len(used)} operations")
    return 1 if failures or missing or count == 0 else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
