"""onnxruntime's inference, for `networks`: the second run of a session. usage: onnx-networks.py model rows height width seed=.. out=.."""
import sys
import time

import numpy as np
import onnxruntime

path, rows, height, width = sys.argv[1], *map(int, sys.argv[2:5])
out = next(a.split("=", 1)[1] for a in sys.argv[5:] if a.startswith("out="))
i = np.arange(rows * 3 * height * width, dtype=np.int64)
x = ((i * 37) % 1009 / 1009 - 0.5).astype(np.float32).reshape(rows, 3, height, width)
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
session.run(None, {name: x})
start = time.perf_counter()
y = session.run(None, {name: x})[0]
seconds = time.perf_counter() - start
np.savetxt(out, y.reshape(rows, -1), delimiter=",", fmt="%.9g")
print(f"RESULT compute_s={seconds:.7f}")
