"""Runs in the private environment, one task in one process: data and reference, an engine's measurement, checks.

    python -m peers.worker TASK JSON     prints one line of JSON
"""

import gc
import importlib
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import sys
import tempfile
import time

import numpy as np

from peers import check, clock, dataset, reference


def raw(task):
    return np.fromfile(f"{task['data']}/x-{task['rows']}.f64", dtype="<f8")


def truth(task):
    return reference.of(task["data"], task["rows"])


def zscore_error(values, zscores, truth):
    """The largest |z - true z| / max(1, |true z|); infinite where a missing value is not missing or a row is lost."""
    if len(values) != len(zscores):
        return float("inf")
    worst = 0.0
    for start in range(0, len(values), 1_048_576):
        true = (values[start:start + 1_048_576] - truth["mean"]) / truth["std_dev"]
        found = zscores[start:start + 1_048_576]
        if not np.array_equal(np.isnan(true), np.isnan(found)):
            return float("inf")
        with np.errstate(invalid="ignore"):
            worst = max(worst, float(np.nanmax(np.abs(found - true) / np.maximum(1, np.abs(true)))))
    return worst


def repeated(engine, task, run_once, before=lambda repeat: None):
    """One run to warm up and `repeats` that count; the result of the last, the runs, and the peak resident size."""
    cpu_seconds = getattr(engine, "cpu_seconds", clock.own_cpu_seconds)
    gc.collect()
    clock.forget_peak()
    runs, result = [], None
    for repeat in range(task["repeats"] + 1):
        result = None
        before(repeat)
        gc.collect()
        result, run = clock.timed(lambda: run_once(repeat), cpu_seconds)
        runs.append(run)
    return result, {"runs": runs[1:], "first": runs[0], "peak": getattr(engine, "peak_bytes", clock.peak_bytes)()}


def measure_memory(engine, task):
    """Input in the engine's own form in memory, z-scores in a new array."""
    data = engine.load(raw(task))
    (profile, zscores), found = repeated(engine, task, lambda _: engine.memory(data, task["full"]))
    error = zscore_error(raw(task), engine.to_numpy(zscores), truth(task))
    return profile, found | {"zscore_error": error}


def measure_parquet(engine, task):
    """From a Parquet file to statistics and z-scores in Parquet; each run writes to an empty folder."""
    source = f"{task['data']}/x-{task['rows']}.parquet"
    pathlib.Path(source).read_bytes()
    with tempfile.TemporaryDirectory(dir=task["scratch"]) as scratch:
        folder = pathlib.Path(scratch) / "zscores"

        def empty(_repeat):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        profile, found = repeated(engine, task, lambda _: engine.parquet(source, str(folder), task["full"]), empty)
        return profile, found | check_parquet(task | {"folder": str(folder)})


def measure(task):
    """One engine, one way, one size."""
    engine = importlib.import_module(f"peers.engines.{task['engine']}")
    profile, found = {"memory": measure_memory, "parquet": measure_parquet}[task["way"]](engine, task)
    return found | {"check": check.compare(profile, truth(task), task["full"])}


def check_parquet(task):
    """The size of what stands as Parquet below a folder, and the error of the z-scores in it."""
    import pyarrow.parquet as pq

    files = sorted(pathlib.Path(task["folder"]).rglob("*.parquet"))
    parts = [pq.read_table(file).column(0).to_numpy() for file in files]
    error = zscore_error(raw(task), np.concatenate(parts or [np.empty(0)]), truth(task))
    return {"zscore_error": error, "written": sum(file.stat().st_size for file in files)}


def compare(task):
    """How a profile that came from elsewhere differs from the reference."""
    return check.compare(task["profile"], truth(task), task["full"])


def prepare(task):
    """Makes data and references, and says what they are like."""
    for rows in task["sizes"]:
        dataset.make(rows, task["data"])
    profiles = {rows: reference.of(task["data"], rows) for rows in task["sizes"]}
    shares = ", ".join(f"{rows:,} rows: {p['distinct'] / rows:.0%} distinct, mode {p['mode']['value']} "
                       f"{p['mode']['frequency']} times" for rows, p in profiles.items())
    return {"description": f"{dataset.DESCRIPTION} ({shares})"}


def machine(_task):
    """What the figures were measured on."""
    import psutil

    model = platform.processor() or platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []:
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    packages = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    return {"processor": model, "processors": clock.processors(), "memory": psutil.virtual_memory().total,
            "system": platform.platform(), "load": os.getloadavg()[0], "python": platform.python_version(),
            "packages": packages}


def probe_sort(task):
    """Seconds of NumPy's sort as this process dispatches it."""
    values, seconds = raw(task), []
    for _ in range(7):
        scratch = values.copy()
        begun = time.perf_counter()
        scratch.sort()
        seconds.append(time.perf_counter() - begun)
    return {"seconds": min(seconds)}


def json_file(task):
    """Writes an array of doubles as JSON."""
    from peers import json_engines

    json_engines.make(f"{task['data']}/x-{task['rows']}.f64", task["count"], task["file"])
    return {}


def json_engine(task):
    """One JSON library: parsing and printing an array of doubles."""
    from peers import json_engines

    return json_engines.measure(task)


TASKS = (measure, check_parquet, compare, prepare, machine, probe_sort, json_file, json_engine)

if __name__ == "__main__":
    print(json.dumps({task.__name__: task for task in TASKS}[sys.argv[1]](json.loads(sys.argv[2]))))
