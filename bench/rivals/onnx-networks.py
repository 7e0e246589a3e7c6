"""onnxruntime's inference, for `networks`: the second run of a session, of this many threads, with all its rewritings.
usage: onnx-networks.py model threads rows sizes.. seed=.. out=..
"""
import sys
import time

import numpy as np
import onnxruntime

path, threads, *shape = [a for a in sys.argv[1:] if "=" not in a]
shape = [int(size) for size in shape]
out = next(a.split("=", 1)[1] for a in sys.argv[1:] if a.startswith("out="))
i = np.arange(np.prod(shape), dtype=np.int64)
x = ((i * 37) % 1009 / 1009 - 0.5).astype(np.float32).reshape(shape)
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
options.intra_op_num_threads = int(threads)
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
session.run(None, {name: x})
start = time.perf_counter()
y = session.run(None, {name: x})[0]
seconds = time.perf_counter() - start
np.savetxt(out, y.reshape(shape[0], -1), delimiter=",", fmt="%.9g")
print(f"RESULT compute_s={seconds:.7f}")
