"""Compares an engine's profile with the reference; standard library only."""

COUNTS = ("rows", "missing", "infinite", "count", "zeros", "negatives", "distinct")
ORDER = ("min", "max", "range", "median")
CLOSE = 1e-12
ZSCORE_BOUND = 1e-9


def moment_errors(found, truth):
    """Errors of the moments on the contract's scales, by name."""
    scales = {"sum": truth["absolute_sum"], "mean": max(abs(truth["mean"]), truth["std_dev"])}
    for name in ("variance", "variance_sample", "std_dev", "std_dev_sample"):
        scales[name] = abs(truth[name])
    for name in ("skewness", "kurtosis"):
        scales[name] = max(1.0, abs(truth[name]))
    return {name: abs(found[name] - truth[name]) / scale if found.get(name) is not None else float("inf")
            for name, scale in scales.items()}


def ordered_values(profile):
    """Everything found by order that is a value, by name."""
    named = {name: profile[name] for name in ORDER}
    named |= profile["percentiles"] | profile["quartiles"]
    named |= {name: profile["outliers"][name] for name in ("lower_bound", "upper_bound")}
    named["mode"] = profile["mode"]["value"]
    return named | {f"edge {i}": edge for i, edge in enumerate(profile["histogram"]["edges"])}


def counted(profile, full):
    """Everything that is a count, by name."""
    named = {name: profile[name] for name in COUNTS if name in profile and (full or name != "distinct")}
    named |= {"outliers": profile["outliers"]["count"], "mode frequency": profile["mode"]["frequency"]}
    return named | {f"bin {i}": count for i, count in enumerate(profile["histogram"]["counts"])}


def compare(found, truth, full):
    """`error`: the largest of a moment and its name; `wrong`: what should be equal and is not;
    `last_digits`: values found by order that are right but for rounding."""
    try:
        counted(found, full), ordered_values(found)
    except KeyError as absent:
        return {"error": None, "error_of": None, "wrong": [f"no {absent.args[0]}"], "last_digits": []}
    errors = moment_errors(found, truth)
    name = max(errors, key=errors.get)
    have, true = counted(found, full), counted(truth, full)
    wrong = [key for key in true if key not in have or have[key] != true[key]]
    if abs(found.get("zscore_outliers", -1) - truth["zscore_outliers"]) > truth["borderline"]:
        wrong.append("zscore_outliers")
    have, last_digits = ordered_values(found), []
    for key, value in ordered_values(truth).items():
        if have.get(key) != value:
            near = have.get(key) is not None and abs(have[key] - value) <= CLOSE * max(1.0, abs(value))
            (last_digits if near else wrong).append(key)
    if errors[name] > 1e-6:
        wrong.append(name)
    return {"error": errors[name], "error_of": name, "wrong": wrong, "last_digits": last_digits}
