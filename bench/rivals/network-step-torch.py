"""PyTorch's training of a small network, for `network-step`: eager, fused Adam, channels last. usage: network-step-torch.py mlp|cnn EPOCHS out=.."""
import os
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from network_step_data import data_of  # noqa: E402

KIND, EPOCHS = sys.argv[1], int(sys.argv[2])
out = next(a.split("=", 1)[1] for a in sys.argv[3:] if a.startswith("out="))
torch.set_num_threads(2)

x, labels, first = data_of(KIND)
x, labels = torch.from_numpy(x), torch.from_numpy(labels)


def split(layer, isconv):
    w, b = torch.from_numpy(layer[:-1].copy()), torch.from_numpy(layer[-1].copy())
    if not isconv:
        return w, b
    w = w.reshape(3, 3, -1, w.shape[1]).permute(3, 2, 0, 1)
    return w.contiguous(memory_format=torch.channels_last), b


layers = [split(layer, KIND == "cnn" and i < 2) for i, layer in enumerate(first)]
for w, b in layers:
    w.requires_grad_()
    b.requires_grad_()
if KIND == "cnn":
    x = x.reshape(x.shape[0], x.shape[1], 1, 28, 28)


def decisions(x):
    if KIND == "mlp":
        (w, b), (v, c) = layers
        return torch.addmm(c, F.relu(torch.addmm(b, x, w)), v)
    for w, b in layers[:2]:
        x = F.max_pool2d(F.relu(F.conv2d(x, w, b, padding=1)), 2)
    w, b = layers[2]
    return torch.addmm(b, x.permute(0, 2, 3, 1).flatten(1), w)


optimiser = torch.optim.Adam([one for layer in layers for one in layer], lr=0.001, fused=True)


def step(x, y):
    optimiser.zero_grad()
    own = F.cross_entropy(decisions(x), y, reduction="sum")
    loss = (own + 0.5e-4 * sum((w * w).sum() for w, _ in layers)) / x.shape[0]
    loss.backward()
    optimiser.step()
    return loss.detach()


def epoch():
    return [step(*batch) for batch in zip(batches, labels)]


batches = list(x.contiguous(memory_format=torch.contiguous_format))
if KIND == "cnn":
    batches = [batch.to(memory_format=torch.channels_last) for batch in batches]
saved = [one.detach().clone() for layer in layers for one in layer]
epoch()
# Code is warm; begin again.
with torch.no_grad():
    for one, was in zip([one for layer in layers for one in layer], saved):
        one.copy_(was)
optimiser = torch.optim.Adam([one for layer in layers for one in layer], lr=0.001, fused=True)
start = time.perf_counter()
for _ in range(EPOCHS):
    losses = epoch()
seconds = time.perf_counter() - start
with open(out, "w") as file:
    file.write(f"{float(torch.stack(losses).mean())!r}\n")
print(f"RESULT compute_s={seconds:.7f}")
