"""scikit-learn's scores and predictions of one estimator, for `bench -- estimators`.

usage: sklearn-estimators.py JSON out=..   with name, data, folder, grid, params, scoring and folds in JSON
The data set is written to `folder`/`data`.parquet, with the target in `y`. Rows of `out`: for each metric the scores,
trial by trial and split by split; then, row by row, what the estimator refitted on all rows predicts.
"""
import copy
import json
import os
import sys
import time
import warnings

import numpy as np
import pandas as pd
from sklearn.decomposition import NMF, PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import (ElasticNet, GammaRegressor, HuberRegressor, Lasso, LinearRegression, LogisticRegression,
                                  PoissonRegressor, QuantileRegressor, Ridge, TweedieRegressor)
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neighbors import NearestCentroid
from sklearn.svm import LinearSVC

given = json.loads(sys.argv[1])
out = next(a.split("=", 1)[1] for a in sys.argv[2:] if a.startswith("out="))
NAMES = {"lambda": "alpha", "intercept": "fit_intercept"}
MODELS = {
    "ridge": lambda: Ridge(solver="cholesky"), "ols": LinearRegression, "lasso": Lasso, "elastic-net": ElasticNet,
    "huber": HuberRegressor, "quantile": QuantileRegressor, "poisson": lambda: PoissonRegressor(solver="newton-cholesky"),
    "gamma": lambda: GammaRegressor(solver="newton-cholesky"),
    "tweedie": lambda: TweedieRegressor(solver="newton-cholesky"),
    "logistic": lambda: LogisticRegression(solver="newton-cholesky"), "linear-svm": lambda: LinearSVC(dual="auto", random_state=0), "gaussian-nb": GaussianNB,
    "multinomial-nb": MultinomialNB, "bernoulli-nb": BernoulliNB, "nearest-centroid": NearestCentroid,
    "lda": LinearDiscriminantAnalysis, "pca": PCA, "svd": lambda: TruncatedSVD(algorithm="arpack", tol=1e-15),
    "nmf": lambda: NMF(solver="mu", init="nndsvda"),
}


def data(name):
    rng = np.random.default_rng(29)
    n, d = 600, 6
    x = rng.standard_normal((n, d)) @ (np.eye(d) + 0.3 * rng.standard_normal((d, d))) + rng.normal(0, 1, d)
    weights = rng.normal(0, 0.5, d)
    z = (x - x.mean(0)) @ weights
    if name == "numbers":
        y = 2 + z + 0.5 * rng.standard_normal(n)
    elif name == "outliers":
        y = 2 + z + 0.3 * rng.standard_t(2, n)
    elif name == "counts":
        y = rng.poisson(np.exp(0.5 + 0.5 * z)).astype(float)
    elif name == "positive":
        y = rng.gamma(2.0, np.exp(0.5 + 0.5 * z)) + 0.01
    elif name == "binary":
        y = (z + rng.logistic(0, 1, n) > 0).astype(int)
    else:
        y = np.array(["low", "mid", "top"])[np.digitize(z + 0.5 * rng.standard_normal(n), [-0.7, 0.7])]
        if name == "frequencies":
            x = rng.poisson(np.exp(0.5 * x - 0.3)).astype(float)
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(d)])
    frame["y"] = y
    return frame


def components(model, x):
    """Of a factorisation the least itself: its own updates end early, and err where there are penalties."""
    if isinstance(model, NMF):
        solver = "cd" if model.beta_loss == "frobenius" else "mu"
        return copy.copy(model).set_params(solver=solver, tol=1e-15, max_iter=20_000).transform(x)
    return model.transform(x)


def reconstruction(model, x, y=None):
    z = components(model, x)
    back = model.inverse_transform(z) if not isinstance(model, NMF) else z @ model.components_
    return -((x - back) ** 2).sum(1).mean()


SCORERS = {"neg_reconstruction_error": reconstruction}


def predicted(model, x):
    if hasattr(model, "components_"):
        return components(model, x)
    if hasattr(model, "predict_proba"):
        return model.predict_proba(x)
    return model.decision_function(x) if hasattr(model, "decision_function") else model.predict(x)


frame = data(given["data"])
frame.to_parquet(os.path.join(given["folder"], given["data"] + ".parquet"), index=False)
x, y = frame.drop(columns="y").to_numpy(), frame["y"].to_numpy()
model = MODELS[given["name"]]()
model.set_params(**{NAMES.get(name, name): value for name, value in given["params"].items()})
grid = {NAMES.get(name, name): values for name, values in given["grid"].items()}
start = time.perf_counter()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    found = GridSearchCV(model, grid, scoring={name: SCORERS.get(name, name) for name in given["scoring"]}, refit=given["scoring"][0], cv=given["folds"]).fit(x, y)
results, trials = found.cv_results_, range(len(found.cv_results_["params"]))
rows = [[results[f"split{fold}_test_{metric}"][t] for t in trials for fold in range(given["folds"])]
        for metric in given["scoring"]]
rows.append(np.ravel(predicted(found.best_estimator_, x)))
with open(out, "w") as file:
    for row in rows:
        file.write(",".join(repr(float(value)) for value in row) + "\n")
print(f"RESULT compute_s={time.perf_counter() - start:.4f}")
