"""JAX's training of a small network, for `network-step`: every epoch one compiled scan, or, since convolutions inside of a loop are many times slower in XLA on processors, every step one call. usage: network-step.py mlp|cnn EPOCHS out=.."""
import os
import sys
import time

import jax
import jax.numpy as jnp

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from network_step_data import CLASSES, data_of  # noqa: E402

KIND, EPOCHS = sys.argv[1], int(sys.argv[2])
out = next(a.split("=", 1)[1] for a in sys.argv[3:] if a.startswith("out="))


def dense(x, layer):
    return x @ layer[:-1] + layer[-1]


def conv(x, layer):
    filters = layer[:-1].reshape(3, 3, x.shape[-1], -1)
    z = jax.lax.conv_general_dilated(x, filters, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    z = jax.nn.relu(z + layer[-1])
    return jax.lax.reduce_window(z, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def decisions(layers, x):
    if KIND == "mlp":
        return dense(jax.nn.relu(dense(x, layers[0])), layers[1])
    x = conv(conv(x.reshape(-1, 28, 28, 1), layers[0]), layers[1])
    return dense(x.reshape(x.shape[0], -1), layers[2])


def loss_of(layers, x, y):
    own = -(jax.nn.log_softmax(decisions(layers, x)) * y).sum()
    return (own + 0.5e-4 * sum((layer[:-1] ** 2).sum() for layer in layers)) / x.shape[0]


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
def scanned(state, x, y):
    return jax.lax.scan(step, state, (x, y))


one = jax.jit(step)


def stepped(state, x, y):
    losses = []
    for batch in zip(x, y):
        state, loss = one(state, batch)
        losses.append(loss)
    return state, jnp.stack(losses)


epoch = scanned if KIND == "mlp" else stepped


x, labels, first = data_of(KIND)
x, y = jnp.asarray(x), jax.nn.one_hot(labels, CLASSES, dtype=jnp.float32)
first = [jnp.asarray(layer) for layer in first]
zeros = [jnp.zeros_like(one) for one in first]
state = (first, zeros, zeros, jnp.float32(0))
if KIND == "cnn":
    x, y = list(x), list(y)
jax.block_until_ready(epoch(state, x, y))
start = time.perf_counter()
for _ in range(EPOCHS):
    state, losses = epoch(state, x, y)
jax.block_until_ready(state)
seconds = time.perf_counter() - start
with open(out, "w") as file:
    file.write(f"{float(losses.mean())!r}\n")
print(f"RESULT compute_s={seconds:.7f}")
