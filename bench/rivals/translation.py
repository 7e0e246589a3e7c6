"""Word-by-word translation by hand, for `workload-translation`: a word's vector through three hidden layers of 64 to scores of
4,096 words, the best of them and its log-probability.

Usage: translation.py MODE file=PATH words=N threads=T. MODE `numpy`, `torch`: batch by batch as given; `numpy-unique`,
`torch-unique`: each word of the data once, then taken; `numpy-batch-unique`: each word of a batch once. The file: float32 vectors [words, 100], layers one after the other,
then int32: number of batches, length of each, and the words of all.
"""
import sys
import time

import numpy as np

mode = sys.argv[1]
options = dict(argument.split("=", 1) for argument in sys.argv[2:])
words, threads = int(options["words"]), int(options["threads"])
library, _, unique = mode.partition("-")
raw = np.fromfile(options["file"], np.float32)
table, at = raw[: words * 100].reshape(words, 100), words * 100
layers = []
for rows, cols in ((100, 64), (64, 64), (64, 64), (64, 4096)):
    layers.append((raw[at : at + rows * cols].reshape(rows, cols), raw[at + rows * cols : at + rows * cols + cols]))
    at += rows * cols + cols
numbers = raw[at:].view(np.int32)
lengths, every = numbers[1 : 1 + numbers[0]], numbers[1 + numbers[0] :].astype(np.int64)
ends = np.cumsum(lengths)

if library == "torch":
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    table = torch.from_numpy(table.copy())
    layers = [(torch.from_numpy(w.copy()), torch.from_numpy(b.copy())) for w, b in layers]
    every = torch.from_numpy(every)


def numpy_scores(ids):
    x = table[ids]
    for i, (w, b) in enumerate(layers):
        if i > 0:
            np.maximum(x, 0, out=x)
        x = x @ w
        x += b
    best = x.argmax(1)
    top = x[np.arange(len(best)), best]
    x -= top[:, None]
    np.exp(x, out=x)
    return best, -np.log(x.sum(1))


def torch_scores(ids):
    x = table[ids]
    for i, (w, b) in enumerate(layers):
        x = torch.addmm(b, torch.relu_(x) if i > 0 else x, w)
    top, best = x.max(1)
    return best, top - torch.logsumexp(x, 1)


scores = torch_scores if library == "torch" else numpy_scores
join = torch.cat if library == "torch" else np.concatenate
start = time.perf_counter()
if unique == "unique":
    distinct, places = torch.unique(every, return_inverse=True) if library == "torch" else np.unique(every, return_inverse=True)
    best, score = scores(distinct)
    best, score = best[places], score[places]
else:
    found = []
    for begin, end in zip(ends - lengths, ends):
        ids = every[begin:end]
        if unique == "batch-unique":
            ids, places = np.unique(ids, return_inverse=True)
            one, own = scores(ids)
            found.append((one[places], own[places]))
        else:
            found.append(scores(ids))
    best, score = (join(parts) for parts in zip(*found))
seconds = time.perf_counter() - start
answers = [float(len(best)), float(np.asarray(best, np.float64).sum()), float(np.asarray(score, np.float64).sum())]
with open(options["out"], "w") as file:
    file.write(",".join(repr(answer) for answer in answers) + "\n")
print(f"RESULT compute_s={seconds:.7f}")
