"""The convolutions of shapes.ts in PyTorch, with the same clock: python3 pytorch.py [threads] [rounds]"""

import math
import sys
import time

import torch

threads, rounds = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((1, 1), (2, 12)))
torch.set_num_threads(threads)
clock = time.process_time if threads == 1 else time.perf_counter

# batch, channels, filters, image, kernel, stride, padding
SHAPES = [
    (64, 3, 32, (32, 32), 3, 1, 1),
    (64, 32, 32, (32, 32), 3, 1, 1),
    (64, 64, 64, (16, 16), 3, 1, 1),
    (64, 128, 128, (8, 8), 3, 1, 1),
    (64, 32, 64, (32, 32), 3, 2, 1),
    (64, 64, 128, (16, 16), 3, 2, 1),
    (64, 32, 64, (32, 32), 1, 2, 0),
    (64, 64, 128, (16, 16), 1, 1, 0),
    (8, 24, 40, (28, 28), 3, 1, 1),
    (2, 16, 16, (96, 96), 3, 1, 1),
    (16, 8, 8, (16, 16), 3, 1, 1),
    (16, 64, 64, (400,), 3, 1, 1),
    (2, 1, 16, (32, 32, 32), 3, 1, 1),
    (2, 16, 16, (32, 32, 32), 3, 1, 1),
    (2, 32, 32, (16, 16, 16), 3, 1, 1),
    (2, 64, 64, (8, 8, 8), 3, 1, 1),
    (2, 48, 16, (32, 32, 32), 3, 1, 1),
    (2, 16, 32, (32, 32, 32), 2, 2, 0),
    (2, 16, 32, (32, 32, 32), 3, 2, 1),
]


def least(run):
    best = math.inf
    for _ in range(rounds):
        start = clock()
        run()
        best = min(best, clock() - start)
    return 1000 * best


print(f"PyTorch {torch.__version__}, {threads} threads\n")
print("| convolution | forward | input gradient | weight gradient |\n| --- | --- | --- | --- |")
for batch, channels, filters, image, kernel, stride, padding in SHAPES:
    axes = len(image)
    each = lambda n: [n] * axes
    x, w = torch.randn(batch, channels, *image), torch.randn(filters, channels, *each(kernel))
    forward = lambda: torch.convolution(x, w, None, each(stride), each(padding), each(1), False, each(0), 1)
    dy = torch.randn_like(forward())
    backward = lambda *mask: torch.ops.aten.convolution_backward(
        dy, x, w, None, each(stride), each(padding), each(1), False, each(0), 1, mask
    )
    times = [least(forward), least(lambda: backward(True, False, False)), least(lambda: backward(False, True, False))]
    label = f"{channels}→{filters}, {'×'.join(map(str, image))}, batch {batch}, kernel {kernel}"
    label += f", stride {stride}" if stride > 1 else ""
    print(f"| {label} | " + " | ".join(f"{time:.2f} ms" for time in times) + " |")
