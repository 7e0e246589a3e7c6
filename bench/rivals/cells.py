"""Chains of cell-wise steps in NumPy by hand, for `device-chains`: in place, the cells of the chain prepared before the clock starts.

Usage: cells.py MODE dtype=float32|float64 cells=N steps=S sum=0|1 threads=T block=B out=PATH. MODE `chain`, or `copy`: a plain copy. Blocks
of B cells go through the whole chain while they are in the cache; 0: all cells at once. Threads share the cells; NumPy lets go of Python's
lock while it computes.
"""
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

mode = sys.argv[1]
options = dict(argument.split("=", 1) for argument in sys.argv[2:])
dtype = np.dtype(options["dtype"])
cells, steps, threads, block = (int(options[key]) for key in ("cells", "steps", "threads", "block"))
summed = options["sum"] == "1"
# As device-chains.ts.
x = ((np.arange(cells, dtype=np.int64) * 7919) % 10007 / 10007 + 0.5).astype(dtype)
out = np.full(cells, np.nan, dtype)
number = dtype.type


def step(i, source, target):
    if i % 4 == 0:
        np.multiply(source, number(1.25), out=target)
    elif i % 4 == 1:
        np.subtract(source, number(0.125), out=target)
    elif i % 4 == 2:
        np.maximum(source, number(0.75), out=target)
    else:
        np.sqrt(source, out=target)


def part(begin, end):
    total = 0.0
    for at in range(begin, end, block or end - begin):
        to = min(at + (block or end), end)
        source, target = x[at:to], out[at:to]
        if mode == "copy":
            np.copyto(target, source)
            continue
        for i in range(steps):
            step(i, source if i == 0 else target, target)
        if summed:
            total += float(target.sum(dtype=np.float64))
    return total


bounds = [cells * i // threads for i in range(threads + 1)]
with ThreadPoolExecutor(threads) as pool:
    list(pool.map(lambda _: None, range(threads)))
    begin = time.perf_counter()
    totals = [part(0, cells)] if threads == 1 else list(pool.map(part, bounds[:-1], bounds[1:]))
    seconds = time.perf_counter() - begin
with open(options["out"], "w") as file:
    answers = [sum(totals)] if summed else out[:: max(1, cells // 64)]
    file.writelines(f"{float(cell)!r}\n" for cell in answers)
print(f"RESULT compute_s={seconds:.7f}")
