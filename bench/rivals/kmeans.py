"""k-means on cls_X for `bench -- kmeans`: k = 2, 4, .., 16, `starts` given starts each, at most 30 iterations.

Usage: kmeans.py MODE starts=N file=PATH out=PATH. MODE `seeds` draws the starts by scikit-learn's k-means++ and writes them, a row a
centre; `sk` fits from those of PATH, and writes the inertia of each start. Timed: fits only, all cores.
"""
import os
import sys
import time

import numpy as np
from sklearn.cluster import KMeans, kmeans_plusplus

DATA = os.path.join(os.environ["BASELINES_HOME"], "data")
options = dict(argument.split("=", 1) for argument in sys.argv[2:])
starts = int(options["starts"])
X = np.fromfile(os.path.join(DATA, "cls_X.bin")).reshape(-1, 100)
sizes = [k for k in range(2, 18, 2) for _ in range(starts)]

if sys.argv[1] == "seeds":
    seeds = [kmeans_plusplus(X, k, random_state=100 * k + i % starts)[0] for i, k in enumerate(sizes)]
    np.concatenate(seeds).tofile(options["file"])
    np.savetxt(options["out"], [0.0])
    print("RESULT compute_s=0")
else:
    centers = np.split(np.fromfile(options["file"]).reshape(-1, 100), np.cumsum(sizes)[:-1])
    begin = time.perf_counter()
    found = [KMeans(len(c), init=c, n_init=1, max_iter=30, tol=0).fit(X).inertia_ for c in centers]
    seconds = time.perf_counter() - begin
    np.savetxt(options["out"], found, fmt="%.17g")
    print(f"RESULT compute_s={seconds}")
