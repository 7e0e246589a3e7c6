"""JAX's training of a multilayer perceptron, for `network-step`: every epoch one compiled scan. usage: network-step.py EPOCHS out=.."""
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

EPOCHS = int(sys.argv[1])
out = next(a.split("=", 1)[1] for a in sys.argv[2:] if a.startswith("out="))
ROWS, INPUTS, HIDDEN, CLASSES, BATCH = 4000, 784, 100, 10, 200


def cells(rows, cols, seed, scale):
    i = np.arange(rows * cols, dtype=np.int64)
    return ((((i * 37 + seed * 11) % 1009) / 1009 - 0.5) * scale).astype(np.float32).reshape(rows, cols)


def loss_of(layers, x, y):
    (hidden, out) = layers
    z = jax.nn.relu(x @ hidden[:-1] + hidden[-1]) @ out[:-1] + out[-1]
    own = -(jax.nn.log_softmax(z) * y).sum()
    return (own + 0.5e-4 * sum((layer[:-1] ** 2).sum() for layer in layers)) / BATCH


def step(state, batch):
    layers, means, squares, taken = state
    loss, gradients = jax.value_and_grad(loss_of)(layers, *batch)
    taken = taken + 1
    rate = 0.001 * jnp.sqrt(1 - 0.999**taken) / (1 - 0.9**taken)
    means = [0.9 * m + 0.1 * g for m, g in zip(means, gradients)]
    squares = [0.999 * v + 0.001 * g * g for v, g in zip(squares, gradients)]
    layers = [w - rate * m / (jnp.sqrt(v) + 1e-8) for w, m, v in zip(layers, means, squares)]
    return (layers, means, squares, taken), loss


@jax.jit
def epoch(state, x, y):
    return jax.lax.scan(step, state, (x, y))


x = jnp.asarray(cells(ROWS, INPUTS, 1, 1).reshape(-1, BATCH, INPUTS))
labels = (np.arange(ROWS) * 7919) % CLASSES
y = jnp.asarray(np.eye(CLASSES, dtype=np.float32)[labels].reshape(-1, BATCH, CLASSES))
first = [jnp.asarray(cells(INPUTS + 1, HIDDEN, 2, 0.2)), jnp.asarray(cells(HIDDEN + 1, CLASSES, 3, 0.2))]
zeros = [jnp.zeros_like(one) for one in first]
state = (first, zeros, zeros, jnp.float32(0))
jax.block_until_ready(epoch(state, x, y))
start = time.perf_counter()
for _ in range(EPOCHS):
    state, losses = epoch(state, x, y)
jax.block_until_ready(state)
seconds = time.perf_counter() - start
with open(out, "w") as file:
    file.write(f"{float(losses.mean())!r}\n")
print(f"RESULT compute_s={seconds:.7f}")
