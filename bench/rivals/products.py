"""NumPy's matrix products, for `blas`: t(X) %*% X or A %*% B, one run. usage: products.py tsmm|matmul seed=.. out=.."""
import sys
import time

import numpy as np

which = sys.argv[1]
out = next(a.split("=", 1)[1] for a in sys.argv[2:] if a.startswith("out="))


def cells(rows, cols):
    """The same cells as `blas.ts`: (37 i mod 1009) / 1009 - 0.5 over the row-major index i."""
    i = np.arange(rows * cols, dtype=np.int64)
    return ((i * 37) % 1009 / 1009 - 0.5).reshape(rows, cols)


if which == "tsmm":
    x = cells(50_000, 200)
    start = time.perf_counter()
    product = x.T @ x
else:
    a, b = cells(1_500, 1_500), cells(1_500, 1_500)
    start = time.perf_counter()
    product = a @ b
seconds = time.perf_counter() - start
with open(out, "w") as file:
    file.write(f"{float(np.abs(product).sum())!r}\n")
print(f"RESULT compute_s={seconds:.7f}")
