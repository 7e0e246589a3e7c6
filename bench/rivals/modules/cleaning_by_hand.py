"""Cleaning as fast as NumPy has it, which a program by hand needs no more for."""
import numpy as np


def impute(a, means=None):
    missing = np.isnan(a)
    means = np.nanmean(a, 0) if means is None else means
    return np.where(missing, means, a)


def quartiles(a):
    """As numpy.quantile, by one partition of the columns."""
    place = np.array([0.25, 0.75]) * (len(a) - 1)
    low = np.floor(place).astype(int)
    by_column = np.ascontiguousarray(a.T)
    by_column.partition([low[0], low[0] + 1, low[1], low[1] + 1], axis=1)
    return [by_column[:, i] + (p - i) * (by_column[:, i + 1] - by_column[:, i]) for i, p in zip(low, place)]


def fences(a):
    first, third = quartiles(a)
    spread = 1.5 * (third - first)
    return first - spread, third + spread


def zero_outliers(a, bounds=None):
    low, high = fences(a) if bounds is None else bounds
    return a * ~((a < low) | (a > high))
