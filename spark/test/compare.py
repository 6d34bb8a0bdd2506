"""Two profiles of one column: what must be equal, and what within the contract's scales."""

import math

EXACT = ["rows", "missing", "infinite", "positive_infinite", "negative_infinite", "count", "min", "max", "range", "percentiles",
         "median", "quartiles", "mode", "outliers", "zeros", "negatives", "distinct", "histogram", "inexact_integers", "overflowed",
         "method"]
BETWEEN_ENGINES = 1e-12


def number(column, name):
    return 0.0 if column.get(name) is None else float(column[name])


def differences(here, there):
    """Names what differs between the profiles of one column by two engines."""
    found = [f"{name}: {here.get(name)} and {there.get(name)}" for name in EXACT if here.get(name) != there.get(name)]
    spread = number(here, "std_dev")
    size = max(abs(number(here, "mean")), spread)
    scales = {"sum": size * number(here, "count"), "mean": size, "std_dev": spread, "std_dev_sample": number(here, "std_dev_sample"),
              "variance": number(here, "variance"), "variance_sample": number(here, "variance_sample"),
              "skewness": max(1.0, abs(number(here, "skewness"))), "kurtosis": max(1.0, abs(number(here, "kurtosis")))}
    for name, scale in scales.items():
        apart = abs(number(here, name) - number(there, name))
        if (here.get(name) is None) != (there.get(name) is None) or not apart <= BETWEEN_ENGINES * scale:
            found.append(f"{name}: {here.get(name)} and {there.get(name)}")
    if abs(here["zscore_outliers"] - there["zscore_outliers"]) > max(here["zscore_borderline"], there["zscore_borderline"]):
        found.append(f"zscore_outliers: {here['zscore_outliers']} and {there['zscore_outliers']}")
    if here.get("normalized") and there.get("normalized"):
        found += normalized(here["normalized"], there["normalized"])
    return found


def normalized(here, there):
    largest = max(1.0, abs(number(here, "min")), abs(number(here, "max")))
    found = []
    for name in ["count", "mean", "std_dev", "min", "max"]:
        apart = abs(number(here, name) - number(there, name))
        if (here[name] is None) != (there[name] is None) or not apart <= BETWEEN_ENGINES * largest:
            found.append(f"normalized.{name}: {here[name]} and {there[name]}")
    return found


def data(here, there):
    """What differs between two documents of normalised data."""
    found = []
    for name, values in here["columns"].items():
        other = there["columns"].get(name)
        if other is None or len(other) != len(values):
            found.append(f"{name}: {len(values)} values and {None if other is None else len(other)}")
            continue
        largest = max([1.0] + [abs(v) for v in values if isinstance(v, (int, float))])
        for row, (a, b) in enumerate(zip(values, other)):
            both = isinstance(a, (int, float)) and isinstance(b, (int, float))
            if not (math.isclose(a, b, rel_tol=0, abs_tol=BETWEEN_ENGINES * largest) if both else a == b):
                found.append(f"{name} {row}: {a} and {b}")
                break
    return found
