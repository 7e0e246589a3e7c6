"""scikit-learn for `bench -- mnist` and `bench -- svm`: 5 folds of contiguous rows x the penalties, two jobs.

Usage: classifiers.py MODE data=PATH rows=N strengths=C,C,.. out=PATH. MODE is `lbfgs`, `newton-cg` (multinomial logistic
regression, mean log loss) or `primal`, `dual` (LinearSVC, accuracy). PATH is a folder of MNIST, of which the first rows are
taken, or cls for cls_X of the baselines. Timed: the search, data in memory.
"""
import os
import sys
import time
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.svm import LinearSVC

warnings.filterwarnings("ignore")
mode = sys.argv[1]
options = dict(argument.split("=", 1) for argument in sys.argv[2:])
rows, data = int(options["rows"]), options["data"]
if data == "cls":
    folder = os.path.join(os.environ["BASELINES_HOME"], "data")
    X = np.fromfile(os.path.join(folder, "cls_X.bin")).reshape(-1, 100)[:rows]
    y = np.fromfile(os.path.join(folder, "cls_y.bin"))[:rows]
else:
    images = np.fromfile(os.path.join(data, "train-images-idx3-ubyte"), dtype=np.uint8)[16:]
    X = images[: 784 * rows].reshape(rows, 784) / 255.0
    y = np.fromfile(os.path.join(data, "train-labels-idx1-ubyte"), dtype=np.uint8)[8 : 8 + rows]
strengths = [float(C) for C in options["strengths"].split(",")]
isSvm = mode in ("primal", "dual")
model = LinearSVC(dual=mode == "dual") if isSvm else LogisticRegression(solver=mode, max_iter=1000)
scoring = "accuracy" if isSvm else "neg_log_loss"
begin = time.perf_counter()
search = GridSearchCV(model, {"C": strengths}, cv=KFold(5), scoring=scoring, n_jobs=2, refit=False).fit(X, y)
seconds = time.perf_counter() - begin
np.savetxt(options["out"], search.cv_results_["mean_test_score"], fmt="%.17g")
print(f"RESULT compute_s={seconds}")
