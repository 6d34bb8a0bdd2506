"""The work that every engine does: the scalar formulas of docs/contract.md, section 3, and the form of a profile.

An engine finds counts, moments and order statistics its own way; what follows from a few of those is said here
once, with the field names of the contract.
"""

import math

PERCENTILES = (1, 5, 25, 50, 75, 90, 95, 99)
BINS = 20


def needed_ranks(count):
    """The indices in ascending order of values that the percentiles need."""
    places = (divmod(p * (count - 1), 100) for p in PERCENTILES)
    return sorted({index for i, r in places for index in ((i, i + 1) if r else (i,))})


def percentiles(count, value_at):
    """Type 7, from the value at an index in ascending order."""
    found = []
    for p in PERCENTILES:
        index, hundredths = divmod(p * (count - 1), 100)
        a = float(value_at(index))
        if hundredths:
            b, t = float(value_at(index + 1)), hundredths / 100
            a = a + (b - a) * t if t < 0.5 else b - (b - a) * (1 - t)
        found.append(a)
    return found


def fences(quantiles):
    """Tukey's fences of the eight percentiles."""
    q1, q3 = quantiles[2], quantiles[4]
    return q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)


def edges(low, high):
    """The 21 edges of the histogram."""
    return [low + (high - low) * (j / BINS) for j in range(BINS)] + [high]


def bins_from_below(count, below):
    """Counts of the bins from the number of values strictly below each of the 19 inner edges."""
    cumulative = [0, *(int(b) for b in below), count]
    return [after - before for before, after in zip(cumulative, cumulative[1:])]


def moments(count, total, m2, m3, m4):
    """The moment statistics, from the sum and the sums of powers of deviations from the exact mean."""
    variance = m2 / count
    return {
        "sum": total,
        "mean": total / count,
        "variance": variance,
        "variance_sample": m2 / (count - 1),
        "skewness": (m3 / count) / variance**1.5,
        "kurtosis": (m4 / count) / variance**2 - 3,
    }


def recentred(count, centre, s1, s2, s3, s4):
    """The moment statistics, from sums of powers of deviations from a value close to the mean."""
    d = s1 / count
    m2 = s2 - s1 * d
    m3 = s3 - 3 * d * s2 + 2 * d * d * s1
    m4 = s4 - 4 * d * s3 + 6 * d * d * s2 - 3 * d**3 * s1
    return moments(count, math.fsum((count * centre, s1)), m2, m3, m4)


def profile(*, rows, missing, infinite, moments, low, high, quantiles, outliers, zscore_outliers, zeros, negatives,
            mode, bins, distinct=None):
    """A profile in the contract's names; `mode` is (value, frequency)."""
    q1, q3 = quantiles[2], quantiles[4]
    lower, upper = fences(quantiles)
    return {
        "rows": rows, "missing": int(missing), "infinite": int(infinite), "count": rows - int(missing) - int(infinite),
        **{name: float(value) for name, value in moments.items()},
        "std_dev": math.sqrt(moments["variance"]), "std_dev_sample": math.sqrt(moments["variance_sample"]),
        "min": float(low), "max": float(high), "range": float(high) - float(low),
        "percentiles": {f"p{p}": value for p, value in zip(PERCENTILES, quantiles)},
        "median": quantiles[3], "quartiles": {"q1": q1, "q3": q3, "iqr": q3 - q1},
        "outliers": {"lower_bound": lower, "upper_bound": upper, "count": int(outliers)},
        "mode": {"value": float(mode[0]), "frequency": int(mode[1])},
        "zscore_outliers": int(zscore_outliers), "zeros": int(zeros), "negatives": int(negatives),
        "distinct": None if distinct is None else int(distinct),
        "histogram": {"edges": edges(float(low), float(high)), "counts": [int(b) for b in bins]},
    }
