"""Polars: one sort, run lengths for the mode, search_sorted for every count, the lazy engine for the moments."""

import polars as pl

from peers import work
from peers.dataset import BLOCK

X = pl.col("x")


def load(values):
    return pl.Series("x", values)


def to_numpy(zscores):
    return zscores.to_numpy()


def statistics(column, full):
    """The profile of a series."""
    present = column.drop_nans()
    finite = present.filter(present.is_finite()) if present.is_infinite().any() else present
    ordered = finite.sort()
    count = len(ordered)
    centre = ordered.mean()
    deviation = finite.to_frame().lazy().select(d=X - centre).with_columns(q=pl.col("d") * pl.col("d"))
    d, q = pl.col("d"), pl.col("q")
    sums = deviation.select(a=d.sum(), b=q.sum(), c=(q * d).sum(), d=(q * q).sum()).collect().row(0)
    found = work.recentred(count, centre, *sums)
    quantiles = work.percentiles(count, ordered.__getitem__)
    reach = 3 * found["variance"] ** 0.5
    low, high = ordered[0], ordered[-1]
    lower, upper = work.fences(quantiles)
    below = ordered.search_sorted(
        pl.Series([lower, found["mean"] - reach, 0.0, *work.edges(low, high)[1:-1]]), side="left").to_list()
    through = ordered.search_sorted(pl.Series([upper, found["mean"] + reach, 0.0]), side="right").to_list()
    runs = ordered.rle().struct.unnest()
    return work.profile(
        rows=len(column), missing=len(column) - len(present), infinite=len(present) - count, moments=found,
        low=low, high=high, quantiles=quantiles, outliers=below[0] + count - through[0],
        zscore_outliers=below[1] + count - through[1], zeros=through[2] - below[2], negatives=below[2],
        mode=runs.row(runs["len"].arg_max())[::-1], bins=work.bins_from_below(count, below[3:]),
        distinct=len(runs) if full else None)


def memory(data, full):
    found = statistics(data, full)
    return found, (data - found["mean"]) / found["std_dev"]


def parquet(source, folder, full):
    table = pl.read_parquet(source, columns=["x"])
    found = statistics(table["x"], full)
    zscores = table.select((X - found["mean"]) / found["std_dev"])
    zscores.write_parquet(f"{folder}/part-0.parquet", compression="uncompressed", statistics=False,
                          row_group_size=BLOCK)
    return found
