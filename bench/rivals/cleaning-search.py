"""A search over cleaning steps for `bench -- cleaning-search`: GridSearchCV over a Pipeline on 3 contiguous folds, mean squared errors.

Usage: cleaning-search.py MODE data=PATH rows=N columns=D out=PATH. The file has the columns, then the target, as doubles by row; NaN for a
missing cell. MODE `sk`: scikit-learn's with two workers; `memory`: with `memory=`; `dask`: dask-ml's, whose graph shares prefixes. Timed: all but
reading and imports.
"""
import os
import sys
import tempfile
import time
import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

HERE = os.path.dirname(os.path.abspath(__file__))
# Not this folder, whose sparse.py dask would take for the package.
sys.path = [path for path in sys.path if os.path.abspath(path) != HERE] + [os.path.join(HERE, "modules")]
import cleaning_steps as S  # workers import transformers by name

warnings.filterwarnings("ignore")
mode = sys.argv[1]
options = dict(argument.split("=", 1) for argument in sys.argv[2:])
cells = np.fromfile(options["data"]).reshape(int(options["rows"]), int(options["columns"]) + 1)
X, y = np.ascontiguousarray(cells[:, :-1]), cells[:, -1].copy()
skip = S.Same() if mode == "dask" else "passthrough"
# As Reprise orders candidates: by names of parameters, the last one's values first.
grid = [
    {"impute__strategy": [strategy], "ridge__alpha": [penalty], "out": [out], "pca": [pca], "scale": [scale]}
    for strategy in ("mean", "median")
    for penalty in (1.0, 100.0)
    for out in (skip, S.ZeroOutliers())
    for pca in (skip, PCA(20, svd_solver="covariance_eigh"))
    for scale in (skip, StandardScaler())
]
start = time.perf_counter()
with tempfile.TemporaryDirectory() as folder:
    steps = [("impute", SimpleImputer()), ("out", skip), ("scale", skip), ("pca", skip), ("ridge", Ridge(solver="cholesky"))]
    pipe = Pipeline(steps, memory=folder if mode == "memory" else None)
    common = {"scoring": "neg_mean_squared_error", "refit": False, "cv": KFold(3), "n_jobs": 2}
    if mode == "dask":
        from dask_ml.model_selection import GridSearchCV
        found = GridSearchCV(pipe, grid, scheduler="threads", **common).fit(X, y)
    else:
        from sklearn.model_selection import GridSearchCV
        found = GridSearchCV(pipe, grid, **common).fit(X, y)
print(f"RESULT compute_s={time.perf_counter() - start:.4f}")
with open(options["out"], "w") as file:
    file.writelines(f"{-value!r}\n" for value in map(float, found.cv_results_["mean_test_score"]))
