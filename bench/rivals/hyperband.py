"""Searches by rungs of rows for `bench -- hyperband`: digits, linear SVMs and multinomial logistic regression.

Usage: hyperband.py MODE data=FOLDER rows=N least=N strengths=C,C,.. out=PATH. MODE is `sklearn` (HalvingGridSearchCV), `optuna`
(SuccessiveHalvingPruner over a grid) or `ray` (Ray Tune, ASHA of one bracket over a grid), each with two workers of one BLAS
thread; `has` says which are installed. A fit sees a nested sample of the training rows of 3 contiguous folds, from `least` rows by factor 3 to all; models
that can begin where the last rung's ended do. Timed: the search, data in memory, workers up. Answers: the best mean accuracy
among fits of all rows.
"""
import importlib.util
import os
import shutil
import sys
import tempfile
import time
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

warnings.filterwarnings("ignore")
mode = sys.argv[1]
options = dict(argument.split("=", 1) for argument in sys.argv[2:])
FACTOR = 3
SPLITS = 3
MODELS = {"logistic": LogisticRegression(max_iter=1000, warm_start=True), "svm": LinearSVC(dual=False)}


def digits(data, rows):
    images = np.fromfile(os.path.join(data, "train-images-idx3-ubyte"), dtype=np.uint8)[16:]
    labels = np.fromfile(os.path.join(data, "train-labels-idx1-ubyte"), dtype=np.uint8)[8 : 8 + rows]
    return images[: 784 * rows].reshape(rows, 784) / 255.0, labels


class Trial:
    """One candidate: its fits, rung after rung."""

    def __init__(self, X, y, kind, C):
        self.X, self.y = X, y
        self.rank = np.argsort(np.random.RandomState(0).permutation(len(y)))
        self.models = [clone(MODELS[kind]).set_params(C=C) for _ in range(SPLITS)]

    def score(self, rows):
        scores = []
        for model, (train, test) in zip(self.models, KFold(SPLITS).split(self.X)):
            seen = train[self.rank[train] < rows]
            model.fit(self.X[seen], self.y[seen])
            scores.append(model.score(self.X[test], self.y[test]))
        return float(np.mean(scores))


def rungs(least, most):
    sizes = [least]
    while sizes[-1] * FACTOR <= most:
        sizes.append(sizes[-1] * FACTOR)
    return sizes[:-1] + [most]


def with_sklearn(X, y, least, strengths):
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingGridSearchCV
    from sklearn.pipeline import Pipeline

    grid = [{"model": [model], "model__C": strengths} for model in MODELS.values()]
    search = HalvingGridSearchCV(
        Pipeline([("model", MODELS["svm"])]), grid, cv=KFold(SPLITS), factor=FACTOR, min_resources=least,
        scoring="accuracy", n_jobs=2, refit=False, random_state=0,
    )
    begin = time.perf_counter()
    search.fit(X, y)
    return time.perf_counter() - begin, search.best_score_


def with_optuna(X, y, least, strengths):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sizes = rungs(least, len(y))

    def objective(trial):
        C = trial.suggest_categorical("C", strengths)
        own = Trial(X, y, trial.suggest_categorical("kind", list(MODELS)), C)
        for rows in sizes:
            score = own.score(rows)
            trial.report(score, rows)
            if rows < sizes[-1] and trial.should_prune():
                raise optuna.TrialPruned()
        return score

    # One bracket as on all sides: HyperbandPruner has more, one of which trains every candidate on all rows.
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=least, reduction_factor=FACTOR)
    space = {"kind": list(MODELS), "C": strengths}
    study = optuna.create_study(direction="maximize", pruner=pruner, sampler=optuna.samplers.GridSampler(space, seed=0))
    begin = time.perf_counter()
    # Its workers are threads: with two BLAS threads each they wait for each other, eight times as long.
    with threadpool_limits(1):
        study.optimize(objective, n_trials=len(strengths) * len(MODELS), n_jobs=2)
    return time.perf_counter() - begin, study.best_value


def with_ray(X, y, least, strengths):
    import ray
    from ray import tune

    sizes = rungs(least, len(y))
    # Its default, 15, loses to whatever else runs; other sides have none.
    os.environ["RAY_worker_niceness"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    at = ray.put((X, y))

    def train(config):
        own = Trial(*ray.get(at), *config["candidate"])
        for rows in sizes:
            tune.report({"score": own.score(rows), "rows": rows})

    scheduler = tune.schedulers.ASHAScheduler(
        time_attr="rows", metric="score", mode="max", grace_period=least, max_t=len(y), reduction_factor=FACTOR,
    )
    # In any order but that of the penalties, in which each trial is the best so far and is promoted.
    grid = [(kind, C) for kind in MODELS for C in strengths]
    order = np.random.RandomState(0).permutation(len(grid))
    space = {"candidate": tune.grid_search([grid[i] for i in order])}
    ray.get([ray.remote(lambda: 0).remote() for _ in range(2)])
    folder = tempfile.mkdtemp(prefix="reprise-ray-")
    begin = time.perf_counter()
    tuner = tune.Tuner(train, param_space=space, tune_config=tune.TuneConfig(scheduler=scheduler),
                       run_config=tune.RunConfig(verbose=0, storage_path=folder))
    found = tuner.fit()
    seconds = time.perf_counter() - begin
    shutil.rmtree(folder, ignore_errors=True)
    whole = [one.metrics["score"] for one in found if one.metrics and one.metrics.get("rows") == len(y)]
    ray.shutdown()
    return seconds, max(whole)


if mode == "has":
    np.savetxt(options["out"], [importlib.util.find_spec(name) is not None for name in ("optuna", "ray")], fmt="%d")
    print("RESULT compute_s=0")
else:
    X, y = digits(options["data"], int(options["rows"]))
    strengths = [float(C) for C in options["strengths"].split(",")]
    search = {"sklearn": with_sklearn, "optuna": with_optuna, "ray": with_ray}[mode]
    seconds, best = search(X, y, int(options["least"]), strengths)
    np.savetxt(options["out"], [best], fmt="%.17g")
    print(f"RESULT compute_s={seconds}")
