"""pandas: one sort_values, then positions and searchsorted; quicker than value_counts and quantile together."""

import numpy as np
import pandas as pd

from peers import work
from peers.dataset import BLOCK, PLAIN


def load(values):
    return pd.Series(values, name="x", copy=False)


def to_numpy(zscores):
    return zscores.to_numpy()


def mode(ordered):
    """The longest run of equal values, the first of several, from the places where the value changes."""
    starts = np.flatnonzero(ordered.diff().to_numpy() != 0)
    lengths = np.diff(starts, append=len(ordered))
    best = lengths.argmax()
    return (ordered.iloc[starts[best]], lengths[best]), len(starts)


def memory(data, full):
    present = data.dropna()
    ordered = present[np.isfinite(present)].sort_values(kind="quicksort", ignore_index=True)
    count, low, high = len(ordered), ordered.iloc[0], ordered.iloc[-1]
    mean, variance = ordered.mean(), ordered.var(ddof=0)
    quantiles = work.percentiles(count, ordered.iloc.__getitem__)
    outside = lambda low, high: ordered.searchsorted(low) + count - ordered.searchsorted(high, side="right")
    reach = 3 * variance**0.5
    unbiased = (count - 2) / (count * (count - 1)) ** 0.5
    excess = ((count - 2) * (count - 3) / (count - 1) * ordered.kurt() - 6) / (count + 1)
    moments = {"sum": ordered.sum(), "mean": mean, "variance": variance, "variance_sample": ordered.var(),
               "skewness": ordered.skew() * unbiased, "kurtosis": excess}
    frequent, distinct = mode(ordered)
    negatives = ordered.searchsorted(0.0)
    found = work.profile(
        rows=len(data), missing=len(data) - len(present), infinite=len(present) - count, moments=moments,
        low=low, high=high, quantiles=quantiles, outliers=outside(*work.fences(quantiles)),
        zscore_outliers=outside(mean - reach, mean + reach), zeros=ordered.searchsorted(0.0, side="right") - negatives,
        negatives=negatives, mode=frequent,
        bins=work.bins_from_below(count, ordered.searchsorted(work.edges(low, high)[1:-1])),
        distinct=distinct if full else None)
    return found, (data - mean) / variance**0.5


def parquet(source, folder, full):
    found, zscores = memory(pd.read_parquet(source, columns=["x"])["x"], full)
    zscores.to_frame("x").to_parquet(f"{folder}/part-0.parquet", index=False, row_group_size=BLOCK,
                                     **PLAIN | {"compression": None})
    return found
