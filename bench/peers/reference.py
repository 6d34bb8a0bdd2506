"""The true profile of a data set, in extended precision and from one sort; kept beside the data as JSON."""

import hashlib
import itertools
import json
import math
import pathlib
import sys

import numpy as np

from peers import work

BLOCK = 1_048_576


def blocks(values):
    for start in range(0, len(values), BLOCK):
        yield values[start:start + BLOCK]


def exact_sum(values, *more):
    """The sum, rounded once."""
    return math.fsum(itertools.chain(more, itertools.chain.from_iterable(block.tolist() for block in blocks(values))))


def power_sums(values, centre):
    """Sums of the first four powers of deviations from an f64, in long double and pairwise within a block."""
    sums = np.zeros(4, dtype=np.longdouble)
    for block in blocks(values):
        d = block.astype(np.longdouble) - centre
        square = d * d
        sums += [d.sum(), square.sum(), (square * d).sum(), (square * square).sum()]
    return sums


def zscore_outliers(values, mean, std_dev):
    """How many lie beyond three standard deviations, and how many so close to it that rounding decides."""
    outside = borderline = 0
    for block in blocks(values):
        ratio = np.abs(block.astype(np.longdouble) - mean) / (3 * std_dev)
        outside += int(np.sum(ratio > 1))
        borderline += int(np.sum(np.abs(ratio - 1) < 1e-12))
    return outside, borderline


def compute(values):
    """The profile, and beside it what errors are measured on: `absolute_sum` and `borderline`."""
    finite = np.sort(values[np.isfinite(values)])
    count = len(finite)
    total = exact_sum(finite)
    mean = (np.longdouble(total) + np.longdouble(exact_sum(finite, -total))) / count
    moments = work.recentred(count, float(mean), *power_sums(finite, float(mean))) | {"sum": total, "mean": mean}
    quantiles = work.percentiles(count, finite.__getitem__)
    lower, upper = work.fences(quantiles)
    outside, borderline = zscore_outliers(finite, mean, np.sqrt(moments["variance"]))
    starts = np.flatnonzero(np.concatenate(([True], finite[1:] != finite[:-1])))
    lengths = np.diff(np.append(starts, count))
    best = int(lengths.argmax())
    missing = int(np.isnan(values).sum())
    edges = work.edges(float(finite[0]), float(finite[-1]))
    profile = work.profile(
        rows=len(values), missing=missing, infinite=len(values) - missing - count, moments=moments, low=finite[0],
        high=finite[-1], quantiles=quantiles, outliers=np.sum((finite < lower) | (finite > upper)),
        zscore_outliers=outside, zeros=np.sum(finite == 0), negatives=np.sum(finite < 0),
        mode=(finite[starts[best]], lengths[best]),
        bins=work.bins_from_below(count, np.searchsorted(finite, edges[1:-1])), distinct=len(starts))
    return profile | {"absolute_sum": exact_sum(np.abs(finite)), "borderline": borderline}


def of(folder, rows):
    """The reference of `x-ROWS.f64`, computed on first use and when the code that computes it has changed."""
    code = b"".join(pathlib.Path(module.__file__).read_bytes() for module in (work, sys.modules[__name__]))
    kept = pathlib.Path(folder) / f"x-{rows}.reference-{hashlib.sha256(code).hexdigest()[:12]}.json"
    if not kept.exists():
        for outdated in kept.parent.glob(f"x-{rows}.reference-*"):
            outdated.unlink()
        part = kept.with_suffix(".part")
        part.write_text(json.dumps(compute(np.fromfile(kept.with_name(f"x-{rows}.f64"), dtype="<f8")), indent=1))
        part.rename(kept)
    return json.loads(kept.read_text())
