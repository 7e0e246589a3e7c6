"""Cleaning pipelines for `bench -- cleaning`: mean imputation x {-, zero outside the quartiles' fences} x {-, standardised} x {-, 20, 40
components}, then ridge regression (penalty 1000), mean squared error over the rows it was fitted on.

Usage: cleaning.py MODE out=PATH. MODE `numpy`: by hand, equal prefixes once, one eigensystem for both numbers of components. `sk1`, `sk2`:
scikit-learn's GridSearchCV over a Pipeline with one or two workers; `memory1`, `memory2`: with `memory=`; `dask`: dask-ml's, whose graph shares
prefixes. Timed: all but reading and imports.
"""
import os
import sys
import tempfile
import time
import warnings

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
# Not this folder, whose sparse.py dask would take for the package.
sys.path = [path for path in sys.path if os.path.abspath(path) != HERE] + [os.path.join(HERE, "modules")]
import cleaning_by_hand as by_numpy

warnings.filterwarnings("ignore")
DATA = os.path.join(os.environ["BASELINES_HOME"], "data")
X = np.fromfile(os.path.join(DATA, "dirty_X.bin")).reshape(-1, 100)
y = np.fromfile(os.path.join(DATA, "reg_y.bin"))
COMBOS = [(out, scale, k) for out in (0, 1) for scale in (0, 1) for k in (0, 20, 40)]
PENALTY = 1000.0


def by_hand():
    known = {}

    def step(key, make):
        if key not in known:
            known[key] = make()
        return known[key]

    def pca(a, k):
        a = a - a.mean(0)
        _, vectors = np.linalg.eigh(a.T @ a)
        return a @ vectors[:, ::-1][:, :k]

    def error(a):
        z = np.hstack([a, np.ones((len(a), 1))])
        penalty = np.full(z.shape[1], PENALTY)
        penalty[-1] = 0
        left = y - z @ np.linalg.solve(z.T @ z + np.diag(penalty), z.T @ y)
        return left @ left / len(y)

    rows = []
    for out, scale, k in COMBOS:
        a = step("i", lambda: by_numpy.impute(X))
        if out:
            a = step("io", lambda: by_numpy.zero_outliers(a))
        if scale:
            a = step(f"i{out}s", lambda: (a - a.mean(0)) / a.std(0))
        if k:
            a = step(f"i{out}s{scale}p", lambda: pca(a, 40))[:, :k]
        rows.append(error(a))
    return rows


def searched(mode, workers):
    import cleaning_steps as S  # workers import transformers by name
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import Pipeline

    skip = S.Same() if mode == "dask" else "passthrough"
    with tempfile.TemporaryDirectory() as folder:
        steps = [("impute", S.Impute()), ("out", skip), ("scale", skip), ("pca", skip), ("ridge", Ridge(alpha=PENALTY, solver="cholesky"))]
        pipe = Pipeline(steps, memory=folder if mode == "memory" else None)
        grid = [
            {"out": [S.ZeroOutliers() if out else skip], "scale": [S.Scale() if scale else skip], "pca": [S.Pca(k) if k else skip]}
            for out, scale, k in COMBOS
        ]
        every = np.arange(len(y))
        options = {"scoring": "neg_mean_squared_error", "refit": False, "cv": [(every, every)], "n_jobs": workers}
        if mode == "dask":
            from dask_ml.model_selection import GridSearchCV
            found = GridSearchCV(pipe, grid, scheduler="threads", **options).fit(X, y)
        else:
            from sklearn.model_selection import GridSearchCV
            found = GridSearchCV(pipe, grid, **options).fit(X, y)
        return list(-found.cv_results_["mean_test_score"])


mode = sys.argv[1]
options = dict(argument.split("=", 1) for argument in sys.argv[2:])
start = time.perf_counter()
answers = by_hand() if mode == "numpy" else searched(mode.rstrip("12"), int(mode[-1]) if mode[-1] in "12" else 2)
print(f"RESULT compute_s={time.perf_counter() - start:.4f}")
with open(options["out"], "w") as file:
    file.writelines(f"{value!r}\n" for value in map(float, answers))
