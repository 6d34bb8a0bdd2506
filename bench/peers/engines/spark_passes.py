"""What Spark's Python workers do in each pass over the column, with NumPy, and the order-preserving keys of values."""

import math

import numpy as np
import pyarrow as pa

from peers import work

BUCKET_BITS = 18


def keys(values):
    """Unsigned integers that order as the values do."""
    bits = (values + 0.0).view(np.int64)
    return (bits ^ ((bits >> 63) & np.int64(2**63 - 1)) ^ np.int64(-(2**63))).view(np.uint64)


def value_of(key):
    bits = np.array([key], dtype=np.uint64).view(np.int64) ^ np.int64(-(2**63))
    return float((bits ^ ((bits >> 63) & np.int64(2**63 - 1))).view(np.float64)[0])


def buckets(found):
    return ((found * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - BUCKET_BITS)).astype(np.int64)


def first_pass(batches):
    counts, limits = np.zeros(2, np.int64), np.array([np.inf, -np.inf])
    leading, hashed, sums = np.zeros(1 << 16, np.int64), np.zeros(1 << BUCKET_BITS, np.int64), [0.0]
    for values in batches:
        x = values[np.isfinite(values)]
        counts += [len(values), int(np.isnan(values).sum())]
        if len(x) == 0:
            continue
        key = keys(x)
        leading += np.bincount((key >> np.uint64(48)).astype(np.int64), minlength=1 << 16)
        hashed += np.bincount(buckets(key), minlength=1 << BUCKET_BITS)
        limits = np.array([min(limits[0], x.min()), max(limits[1], x.max())])
        sums.append(x.sum())
    total = np.array([math.fsum(sums)])
    return {"counts": counts, "limits": limits, "leading": leading, "hashed": hashed, "sum": total}


def second_pass(mean, edges, prefixes, hot):
    """Powers of deviations, bins, zeros and negatives, the next bits below the prefixes, values of the hot buckets."""
    def visit(batches):
        sums, bins, signs = [(0.0, 0.0, 0.0, 0.0)], np.zeros(work.BINS, np.int64), np.zeros(2, np.int64)
        below, frequent = np.zeros((len(prefixes), 1 << 16), np.int64), []
        for values in batches:
            x = values[np.isfinite(values)]
            d = x - mean
            q = d * d
            sums.append((d.sum(), q.sum(), np.dot(q, d), np.dot(q, q)))
            bins += np.bincount(np.searchsorted(edges[1:-1], x, side="right"), minlength=work.BINS)
            signs += [np.count_nonzero(x == 0), np.count_nonzero(x < 0)]
            key = keys(x)
            leading = key >> np.uint64(48)
            for i, prefix in enumerate(prefixes):
                inside = key[leading == np.uint64(prefix)]
                following = ((inside >> np.uint64(32)) & np.uint64(0xFFFF)).astype(np.int64)
                below[i] += np.bincount(following, minlength=1 << 16)
            frequent.append(key[hot[buckets(key)]])
        value, count = np.unique(np.concatenate(frequent or [np.empty(0, np.uint64)]), return_counts=True)
        return {"sums": np.array([math.fsum(column) for column in zip(*sums)]), "bins": bins, "signs": signs,
                "below": below.ravel(), "values": value, "frequencies": count}
    return visit


def third_pass(prefixes):
    def visit(batches):
        kept = [key[np.isin(key >> np.uint64(32), prefixes)] for key in (keys(v[np.isfinite(v)]) for v in batches)]
        return {"keys": np.concatenate(kept or [np.empty(0, np.uint64)])}
    return visit


def as_task(visit):
    """A function for mapInArrow that answers with what `visit` makes of the batches of a partition, array by array."""
    def run(batches):
        answers = visit(batch.column(0).to_numpy(zero_copy_only=False) for batch in batches)
        blobs = [array.tobytes() for array in answers.values()]
        yield pa.record_batch({"name": list(answers), "type": [array.dtype.str for array in answers.values()],
                               "bytes": pa.array(blobs, pa.binary())})
    return run
