"""NumPy and SciPy as most people write it: one library call for each statistic."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from peers import work
from peers.dataset import BLOCK, PLAIN


def load(values):
    return values


def to_numpy(zscores):
    return zscores


def memory(data, full):
    x = data[np.isfinite(data)]
    missing = int(np.isnan(data).sum())
    low, high, mean, std_dev = x.min(), x.max(), x.mean(), x.std()
    quantiles = [float(q) for q in np.percentile(x, work.PERCENTILES)]
    lower, upper = work.fences(quantiles)
    values, counts = np.unique(x, return_counts=True)
    best = counts.argmax()
    moments = {"sum": x.sum(), "mean": mean, "variance": x.var(), "variance_sample": x.var(ddof=1),
               "skewness": stats.skew(x), "kurtosis": stats.kurtosis(x)}
    found = work.profile(
        rows=len(data), missing=missing, infinite=len(data) - len(x) - missing, moments=moments, low=low, high=high,
        quantiles=quantiles, outliers=np.sum((x < lower) | (x > upper)),
        zscore_outliers=np.sum(np.abs(x - mean) > 3 * std_dev), zeros=np.sum(x == 0), negatives=np.sum(x < 0),
        mode=(values[best], counts[best]), bins=np.histogram(x, work.edges(float(low), float(high)))[0],
        distinct=len(values) if full else None)
    return found, (data - mean) / std_dev


def parquet(source, folder, full):
    found, zscores = memory(pq.read_table(source, columns=["x"]).column(0).to_numpy(), full)
    pq.write_table(pa.table({"x": zscores}), f"{folder}/part-0.parquet", row_group_size=BLOCK, **PLAIN)
    return found
