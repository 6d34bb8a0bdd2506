"""PyArrow: compute functions alone; its sort is slower than its quantile and mode, so nothing is sorted."""

import math

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from peers import work
from peers.dataset import BLOCK, PLAIN


def load(values):
    return pa.array(values)


def to_numpy(zscores):
    return zscores.to_numpy(zero_copy_only=False)


def how_many(mask):
    return pc.sum(mask).as_py() or 0


def order(finite):
    """The eight percentiles from exact order statistics: a position half-way to the next rank is proof to rounding."""
    count = len(finite)
    ranks = work.needed_ranks(count)
    shares = [min((rank + 0.5) / (count - 1), 1.0) for rank in ranks]
    values = pc.quantile(finite, shares, interpolation="lower").to_pylist()
    return work.percentiles(count, dict(zip(ranks, values)).__getitem__)


def central(finite):
    mean = pc.mean(finite).as_py()
    d = pc.subtract(finite, mean)
    q = pc.multiply(d, d)
    sums = [pc.sum(part).as_py() for part in (d, q, pc.multiply(q, d), pc.multiply(q, q))]
    return work.recentred(len(finite), mean, *sums)


def statistics(column, full):
    missing = how_many(pc.is_nan(column))
    finite = column.filter(pc.is_finite(column))
    count = len(finite)
    found, quantiles = central(finite), order(finite)
    low, high = (pc.min_max(finite)[name].as_py() for name in ("min", "max"))
    lower, upper = work.fences(quantiles)
    outside = pc.greater(pc.abs(pc.subtract(finite, found["mean"])), 3 * math.sqrt(found["variance"]))
    mode = pc.mode(finite, 1)[0].as_py()
    below = [how_many(pc.less(finite, edge)) for edge in work.edges(low, high)[1:-1]]
    return work.profile(
        rows=len(column), missing=missing, infinite=len(column) - missing - count, moments=found, low=low, high=high,
        quantiles=quantiles, outliers=how_many(pc.less(finite, lower)) + how_many(pc.greater(finite, upper)),
        zscore_outliers=how_many(outside), zeros=how_many(pc.equal(finite, 0.0)),
        negatives=how_many(pc.less(finite, 0.0)), mode=(mode["mode"], mode["count"]),
        bins=work.bins_from_below(count, below),
        distinct=pc.count_distinct(pc.add(finite, 0.0)).as_py() if full else None)


def standardised(column, found):
    return pc.divide(pc.subtract(column, found["mean"]), found["std_dev"])


def memory(data, full):
    found = statistics(data, full)
    return found, standardised(data, found)


def parquet(source, folder, full):
    column = pq.read_table(source, columns=["x"]).column(0)
    found = statistics(column, full)
    table = pa.table({"x": standardised(column, found)})
    pq.write_table(table, f"{folder}/part-0.parquet", row_group_size=BLOCK, **PLAIN)
    return found
