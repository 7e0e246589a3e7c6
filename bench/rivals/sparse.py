"""scikit-learn's sparse solvers for `bench -- sparse`: a file of 200,000 rows, one column of 20,000 categories and four numbers.

Usage: sparse.py make PATH ROWS CATEGORIES out=PATH: writes the file. sparse.py ridge|logistic PATH SOLVER TOL VALUES out=PATH: reads it,
encodes the categories and searches 5 contiguous folds with two jobs. Timed: all of that but imports. make-text and text: notes, hashed.
"""
import sys
import time
import warnings

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.preprocessing import OneHotEncoder

warnings.filterwarnings("ignore")
mode, path = sys.argv[1:3]
out = sys.argv[-1].removeprefix("out=")
NUMBERS = [f"x{j}" for j in range(4)]


def make(rows, categories):
    random = np.random.default_rng(1)
    # Some categories have hundreds of rows, many a few.
    city = np.floor(categories * random.random(rows) ** 1.5).astype(int)
    X = random.normal(size=(rows, 4)).round(4)
    z = random.normal(size=categories)[city] + X @ np.array([0.5, -0.3, 0.2, 0.1])
    columns = {"city": [f"c{c:05d}" for c in city], **{name: X[:, j] for j, name in enumerate(NUMBERS)}}
    y = (z + random.normal(size=rows)).round(4)
    label = (random.random(rows) < 1 / (1 + np.exp(-z))).astype(int)
    pd.DataFrame({**columns, "y": y, "label": label}).to_parquet(path)
    return [0.0]


def make_text(rows, words):
    random = np.random.default_rng(2)
    # Frequencies of words fall as in texts.
    vocabulary = np.array([f"word{w:05d}" for w in range(words)])
    weight = random.normal(size=words)
    lengths = random.poisson(12, rows) + 1
    chosen = np.minimum((words ** random.random(lengths.sum())).astype(int), words - 1)
    ends = lengths.cumsum()
    z = np.add.reduceat(weight[chosen], ends - lengths) / np.sqrt(lengths)
    notes = [" ".join(vocabulary[chosen[end - n : end]]) for n, end in zip(lengths, ends)]
    late = (random.random(rows) < 1 / (1 + np.exp(-2 * z))).astype(int)
    pd.DataFrame({"note": notes, "late": late}).to_parquet(path)
    return [0.0]


def search_text(solver, tol, values):
    data = pd.read_parquet(path)
    X = HashingVectorizer(n_features=2**15).fit_transform(data.note)
    model = LogisticRegression(solver=solver, tol=tol, max_iter=10000)
    grid = {"cv": KFold(5), "n_jobs": 2, "refit": True, "scoring": "neg_log_loss"}
    found = GridSearchCV(model, {"C": values}, **grid).fit(X, data.late.to_numpy())
    return found.cv_results_["mean_test_score"]


def search(solver, tol, values):
    data = pd.read_parquet(path)
    X = sparse.hstack([OneHotEncoder().fit_transform(data[["city"]]), sparse.csr_matrix(data[NUMBERS].to_numpy())]).tocsr()
    shared = {"solver": solver, "tol": tol, "max_iter": 10000}
    grid = {"cv": KFold(5), "n_jobs": 2, "refit": True}
    if mode == "ridge":
        found = GridSearchCV(Ridge(**shared), {"alpha": values}, scoring="r2", **grid).fit(X, data.y.to_numpy())
    else:
        found = GridSearchCV(LogisticRegression(**shared), {"C": values}, scoring="neg_log_loss", **grid).fit(X, data.label.to_numpy())
    return found.cv_results_["mean_test_score"]


begin = time.perf_counter()
if mode == "make":
    answers = make(int(sys.argv[3]), int(sys.argv[4]))
elif mode == "make-text":
    answers = make_text(int(sys.argv[3]), int(sys.argv[4]))
else:
    answers = (search_text if mode == "text" else search)(sys.argv[3], float(sys.argv[4]), [float(value) for value in sys.argv[5].split(",")])
print(f"RESULT compute_s={time.perf_counter() - begin}")
np.savetxt(out, np.asarray(answers), fmt="%.17g")
