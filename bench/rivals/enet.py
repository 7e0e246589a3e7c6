"""Elastic nets on reg_X for `bench -- enet`: 5 contiguous folds, 10 ratios x 50 penalties, mean squared error of each candidate.

Usage: enet.py MODE alphas=A,B,.. out=PATH. MODE `gram`: one Gram matrix a fold, enet_path on the moments of the training rows along each
path, errors from the moments of the test rows. `sk`: ElasticNetCV with two jobs. Timed: all but reading and imports.
"""
import os
import sys
import time
import warnings

import numpy as np
from sklearn.linear_model import ElasticNetCV, enet_path
from sklearn.model_selection import KFold

warnings.filterwarnings("ignore")
DATA = os.path.join(os.environ["BASELINES_HOME"], "data")
options = dict(argument.split("=", 1) for argument in sys.argv[2:])
alphas = np.array([float(alpha) for alpha in options["alphas"].split(",")])
ratios = np.arange(1, 11) / 10
X = np.fromfile(os.path.join(DATA, "reg_X.bin")).reshape(-1, 100)
y = np.fromfile(os.path.join(DATA, "reg_y.bin"))
n, d = X.shape
folds = 5
EXACT = {"tol": 1e-6, "max_iter": 10000}


def gram():
    parts = []
    for _, test in KFold(folds).split(X):
        A, b = X[test[0]:test[-1] + 1], y[test[0]:test[-1] + 1]
        parts.append((len(b), A.sum(0), b.sum(), A.T @ A, A.T @ b, b @ b))
    total = [sum(p[i] for p in parts) for i in range(6)]
    answers = np.zeros((len(ratios), len(alphas)))
    for part in parts:
        m, sx, sy, xx, xy, _ = (a - b for a, b in zip(total, part))
        mx, my = sx / m, sy / m
        G, c = xx - m * np.outer(mx, mx), xy - m * mx * my
        L = np.linalg.cholesky(G + 1e-9 * np.trace(G) / d * np.eye(d))
        design, target = L.T, np.linalg.solve(L, c)  # design'design = G, design'target = c: the solver sees moments alone
        k, tx, ty, txx, txy, tyy = part
        for i, ratio in enumerate(ratios):
            _, W, _ = enet_path(design, target, l1_ratio=ratio, alphas=alphas * m / d, precompute=G, Xy=c, **EXACT)
            b0 = my - mx @ W
            sse = tyy - 2 * (txy @ W + b0 * ty) + np.einsum("im,ij,jm->m", W, txx, W) + 2 * b0 * (tx @ W) + k * b0 * b0
            answers[i] += sse / k / folds
    return answers


def sk():
    model = ElasticNetCV(l1_ratio=ratios.tolist(), alphas=alphas, cv=KFold(folds), n_jobs=2, precompute=True, **EXACT)
    return model.fit(X, y).mse_path_.mean(-1)


begin = time.perf_counter()
answers = {"gram": gram, "sk": sk}[sys.argv[1]]()
print(f"RESULT compute_s={time.perf_counter() - begin}")
np.savetxt(options["out"], answers.ravel(), fmt="%.17g")
