"""NumPy on one thread: one sort, everything else by binary search and by blocks in the cache."""

from peers.engines import numpy_sorted

ONE = numpy_sorted.Worker(1)


def load(values):
    return values


def memory(data, full):
    return numpy_sorted.memory(ONE, [data], full)


def to_numpy(zscores):
    return zscores


def parquet(source, folder, full):
    return numpy_sorted.parquet(ONE, source, folder, full)
