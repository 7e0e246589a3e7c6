"""scikit-learn's score of every trial and fold, for `sklearn-agreement`.

usage: sklearn-scores.py reg|flights k=.. lambdas=a,b,.. out=.. [sample=parquet rows=n folds=file]
  reg      100,000 x 100 of the baselines, contiguous folds, intercept
  flights  every (3,000,000 / n)th flight is written to `sample`; standardised; the fold of each row comes from `folds`
           (int32), since Reprise's shuffle is its own
Rows of `out`: for each metric, for each lambda, the scores of the folds.
"""
import os
import sys
import time

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, PredefinedSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

METRICS = ["neg_mean_squared_error", "neg_root_mean_squared_error", "neg_mean_absolute_error", "r2"]
HOME = os.environ.get("BASELINES_HOME", os.path.expanduser("~/.cache/reprise-baselines"))
which = sys.argv[1]
args = dict(a.split("=", 1) for a in sys.argv[2:])
lambdas = [float(value) for value in args["lambdas"].split(",")]
folds = int(args["k"])


def onehot(values, top):
    """The `top` most frequent of all rows (ties by text), the rest as one column `other` if there are any."""
    texts = values.astype(str)
    counts = texts.value_counts()
    order = sorted(counts.index, key=lambda text: (-counts[text], text))
    columns = [(texts == text).to_numpy(float) for text in order[:top]]
    if len(order) > top:
        columns.append((~texts.isin(order[:top])).to_numpy(float))
    return columns


def flights():
    every = 3_000_000 // int(args["rows"])
    frame = pd.read_parquet(args["source"]).iloc[::every].reset_index(drop=True)
    frame.to_parquet(args["sample"], index=False)
    date, distance = frame["date"], frame["distance"].to_numpy(float)
    columns = [distance, distance * distance]
    for part in (date.dt.hour, date.dt.day_of_week, date.dt.month):
        columns += onehot(part, 10**9)
    columns += onehot(frame["origin"], 50) + onehot(frame["destination"], 50)
    return np.column_stack(columns), frame["delay"].to_numpy(float)


if which == "reg":
    y = np.fromfile(f"{HOME}/data/reg_y.bin", "<f8")
    x = np.fromfile(f"{HOME}/data/reg_X.bin", "<f8").reshape(len(y), -1)
    cv, steps = KFold(folds), []
else:
    x, y = flights()
    cv, steps = PredefinedSplit(np.fromfile(args["folds"], "<i4")), [("scale", StandardScaler())]

# One process: every worker would hold copies of its own, and time is not what is measured here.
pipeline = Pipeline([*steps, ("ridge", Ridge(solver="cholesky"))])
start = time.perf_counter()
found = GridSearchCV(pipeline, {"ridge__alpha": lambdas}, scoring=METRICS, refit=False, cv=cv).fit(x, y)
seconds = time.perf_counter() - start
with open(args["out"], "w") as file:
    for metric in METRICS:
        for trial in range(len(lambdas)):
            scores = [found.cv_results_[f"split{fold}_test_{metric}"][trial] for fold in range(folds)]
            file.write(",".join(repr(float(score)) for score in scores) + "\n")
print(f"RESULT compute_s={seconds:.4f} columns={x.shape[1]}")
