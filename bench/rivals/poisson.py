"""Poisson factorisation of compressed rows by multiplicative updates, as bench/workloads/poisson.ts: SciPy by hand, which computes
W H where X is not zero alone, or scikit-learn's NMF with the solver mu. Arguments: hand | sklearn, folder=, rows=, cols=, rank=,
iterations=; the folder holds starts.bin and columns.bin (int32), values.bin, W.bin and H.bin (float64, [cols, rank]).
Prints {"seconds": s, "answers": [objective]}, data in memory before the clock starts.
"""
import json
import os
import sys
import time

import numpy as np
import scipy.sparse as sp

peer = sys.argv[1]
given = dict(one.split("=", 1) for one in sys.argv[2:])
folder, rows, cols = given["folder"], int(given["rows"]), int(given["cols"])
rank, iterations = int(given["rank"]), int(given["iterations"])
EPSILON = 1e-8
PIECE = 32768


def read(name, dtype):
    return np.fromfile(os.path.join(folder, name + ".bin"), dtype)


X = sp.csr_matrix((read("values", "<f8"), read("columns", "<i4"), read("starts", "<i4")), (rows, cols))
W = read("W", "<f8").reshape(rows, rank)
H = read("H", "<f8").reshape(cols, rank)
row_of, column_of = np.repeat(np.arange(rows), np.diff(X.indptr)), X.indices


def products(W, H):
    out = np.empty(X.nnz)
    for start in range(0, X.nnz, PIECE):
        end = min(start + PIECE, X.nnz)
        out[start:end] = np.einsum("ij,ij->i", W[row_of[start:end]], H[column_of[start:end]])
    return out


def ratios(W, H):
    return sp.csr_matrix((X.data / (products(W, H) + EPSILON), X.indices, X.indptr), X.shape)


def by_hand(W, H):
    for _ in range(iterations):
        H = H * (ratios(W, H).T @ W) / W.sum(0)
        W = W * (ratios(W, H) @ H) / H.sum(0)
    return W, H


def by_sklearn(W, H):
    # It updates its first factor first, so X' = H W' is factorised.
    first, second, _ = non_negative_factorization(
        Xt, W=H.copy(), H=np.ascontiguousarray(W.T), n_components=rank, init="custom", solver="mu",
        beta_loss="kullback-leibler", tol=0, max_iter=iterations)
    return second.T, first


if peer == "sklearn":
    import warnings

    from sklearn.decomposition import non_negative_factorization

    warnings.filterwarnings("ignore")
    Xt = X.T.tocsr()
start = time.perf_counter()
W, H = (by_hand if peer == "hand" else by_sklearn)(W, H)
objective = W.sum(0) @ H.sum(0) - X.data @ np.log(products(W, H) + EPSILON)
print(json.dumps({"seconds": time.perf_counter() - start, "answers": [float(objective)]}))
