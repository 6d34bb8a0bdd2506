"""What the NumPy engines share: one sort, blocks that stay in the cache, and threads where they are asked for."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from peers import work
from peers.dataset import PLAIN, SCHEMA

BLOCK = 32_768
PIECE = 1_048_576


class Worker:
    """Runs tasks over pieces of an array, on one thread or on several."""

    def __init__(self, threads):
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def map(self, function, tasks):
        return list(self.pool.map(function, tasks)) if self.pool else [function(task) for task in tasks]

    def spans(self, length):
        """Pieces of some blocks each, enough of them to keep every thread busy."""
        step = max(BLOCK, min(PIECE, -(-length // self.threads)))
        return [(start, min(start + step, length)) for start in range(0, length, step)]


def sort(worker, values):
    """Sorts in place, NaN last; with threads, values are first parted and the parts sorted side by side."""
    if worker.threads == 1 or len(values) < 4 * BLOCK:
        values.sort()
        return
    bounds = [0, len(values)]
    while len(bounds) <= worker.threads:
        def part(span):
            middle = (span[0] + span[1]) // 2
            values[span[0]:span[1]].partition(middle - span[0])
            return middle
        bounds = sorted(bounds + worker.map(part, list(zip(bounds, bounds[1:]))))
    worker.map(lambda span: values[span[0]:span[1]].sort(), list(zip(bounds, bounds[1:])))


def power_sums(worker, values, centre):
    """Sums of the first four powers of deviations from `centre`, block by block."""
    def of_span(span):
        d, square, sums = np.empty(BLOCK), np.empty(BLOCK), []
        for start in range(*span, BLOCK):
            x = values[start:min(start + BLOCK, span[1])]
            a, b = d[:len(x)], square[:len(x)]
            np.subtract(x, centre, out=a)
            np.multiply(a, a, out=b)
            sums.append((a.sum(), b.sum(), np.dot(a, b), np.dot(b, b)))
        return sums
    blocks = [sums for part in worker.map(of_span, worker.spans(len(values))) for sums in part]
    return [math.fsum(column) for column in zip(*blocks)]


def mode(ordered):
    """The most frequent value, the smallest of several, and its frequency.

    A sample shows a value that is frequent. Only longer runs can beat it, and a comparison of each value with the
    one that many places further finds those few.
    """
    sample = ordered[::max(1, len(ordered) // 16_384)]
    starts = np.flatnonzero(np.concatenate(([True], sample[1:] != sample[:-1])))
    lengths = np.diff(np.append(starts, len(sample)))
    likely = sample[starts[np.argsort(lengths)[-8:]]]
    at_least = max(np.searchsorted(ordered, likely, "right") - np.searchsorted(ordered, likely, "left"))
    reach = max(1, int(at_least) - 1)
    candidates = np.unique(ordered[:-reach][ordered[reach:] == ordered[:-reach]]) if len(ordered) > reach else []
    if len(candidates) == 0:
        return ordered[0], 1
    counts = np.searchsorted(ordered, candidates, "right") - np.searchsorted(ordered, candidates, "left")
    best = int(np.argmax(counts))
    return candidates[best], counts[best]


def profile(worker, ordered, full):
    """The profile of values in ascending order, NaN last."""
    rows = len(ordered)
    first, end, numbers = np.searchsorted(ordered, [-np.finfo(float).max, np.inf, np.nan])
    finite = ordered[first:end]
    count = len(finite)
    centre = float(finite[:: max(1, count // 4096)].mean())
    found = work.recentred(count, centre, *power_sums(worker, finite, centre))
    quantiles = work.percentiles(count, finite.__getitem__)
    reach = 3 * math.sqrt(found["variance"])
    outside = lambda low, high: np.searchsorted(finite, low, "left") + count - np.searchsorted(finite, high, "right")
    negatives, not_positive = np.searchsorted(finite, 0.0, "left"), np.searchsorted(finite, 0.0, "right")
    return work.profile(
        rows=rows, missing=rows - numbers, infinite=numbers - count, moments=found, low=finite[0], high=finite[-1],
        quantiles=quantiles, outliers=outside(*work.fences(quantiles)),
        zscore_outliers=outside(found["mean"] - reach, found["mean"] + reach),
        zeros=not_positive - negatives, negatives=negatives, mode=mode(finite),
        bins=work.bins_from_below(count, np.searchsorted(finite, work.edges(finite[0], finite[-1])[1:-1])),
        distinct=1 + np.count_nonzero(finite[1:] != finite[:-1]) if full else None,
    )


def standardise(worker, chunks, out, mean, std_dev):
    """(values - mean) / std_dev of the chunks into `out`, block by block."""
    def of_piece(piece):
        values, z = piece
        for start in range(0, len(z), BLOCK):
            block = z[start:start + BLOCK]
            np.subtract(values[start:start + BLOCK], mean, out=block)
            np.divide(block, std_dev, out=block)
    worker.map(of_piece, pieces(worker, chunks, out))


def pieces(worker, chunks, array):
    """Pieces of the chunks, each with its place in the array that holds all of them one after the other."""
    found, before = [], 0
    for chunk in chunks:
        spans = worker.spans(len(chunk))
        found += [(chunk[start:end], array[before + start:before + end]) for start, end in spans]
        before += len(chunk)
    return found


def copied(piece):
    values, place = piece
    place[:] = values


def memory(worker, chunks, full):
    """Profile and z-scores of an array in chunks; what is sorted is a copy, which the z-scores then overwrite."""
    scratch = np.empty(sum(len(chunk) for chunk in chunks))
    worker.map(copied, pieces(worker, chunks, scratch))
    sort(worker, scratch)
    found = profile(worker, scratch, full)
    standardise(worker, chunks, scratch, found["mean"], found["std_dev"])
    return found, scratch


def read(worker, source):
    """The column of a Parquet file as arrays, one for each row group."""
    table = pq.read_table(source, columns=["x"], memory_map=True, use_threads=worker.threads > 1)
    return [chunk.to_numpy() for chunk in table.column(0).chunks]


def write(worker, folder, values):
    """Writes an array as Parquet parts, one for each thread, plain and uncompressed, without copying it first."""
    step = -(-len(values) // worker.threads // BLOCK) * BLOCK

    def write_part(start):
        part = values[start:start + step]
        column = pa.Array.from_buffers(pa.float64(), len(part), [None, pa.py_buffer(part)])
        table = pa.Table.from_arrays([column], schema=SCHEMA)
        pq.write_table(table, f"{folder}/part-{start:012}.parquet", row_group_size=PIECE, **PLAIN)
    worker.map(write_part, range(0, len(values), step))


def parquet(worker, source, folder, full):
    """Profile of a Parquet file, its z-scores written to others."""
    found, zscores = memory(worker, read(worker, source), full)
    write(worker, folder, zscores)
    return found
