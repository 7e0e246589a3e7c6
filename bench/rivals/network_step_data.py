"""What the rivals of `network-step` share: sizes, first weights and rows, as the bench has them."""
import numpy as np

CLASSES = 10
# rows, cells of a row, batch
SIZES = {"mlp": (4000, 784, 200), "cnn": (1000, 784, 100)}
# rows and columns of each layer, the last row being the intercepts, its seed
LAYERS = {"mlp": [(785, 100, 2), (101, 10, 3)], "cnn": [(10, 16, 4), (145, 32, 5), (1569, 10, 6)]}


def cells(rows, cols, seed, scale):
    i = np.arange(rows * cols, dtype=np.int64)
    return ((((i * 37 + seed * 11) % 1009) / 1009 - 0.5) * scale).astype(np.float32).reshape(rows, cols)


def data_of(kind):
    """Batches of rows and class numbers, and the first layers."""
    rows, inputs, batch = SIZES[kind]
    x = cells(rows, inputs, 1, 1).reshape(-1, batch, inputs)
    labels = ((np.arange(rows) * 7919) % CLASSES).reshape(-1, batch)
    return x, labels, [cells(r, c, seed, 0.2) for r, c, seed in LAYERS[kind]]
