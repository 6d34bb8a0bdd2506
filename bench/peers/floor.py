"""This machine's limits, from bench/floor.c or else from NumPy, and what they say about the least time of the work."""

import json
import shutil
import subprocess

from peers import clock, environment, process

SOURCE = process.BENCH / "floor.c"
NUMPY = """
import json, sys, time
import numpy as np
file, n = sys.argv[1], 1 << 25
a, b = np.arange(n, dtype=float), np.zeros(n)
def rate(function, size):
    best = 1e300
    for _ in range(5):
        begun = time.perf_counter(); function(); best = min(best, time.perf_counter() - begun)
    return size * n / best / 1e9
one = {"read": rate(lambda: a.max(), 8), "scale_write": rate(lambda: np.multiply(a, 3.46, out=b), 16)}
found = {"doubles": n, "threads": 1, **one, **{k + "_1": v for k, v in one.items()}}
found["first_touch_small_pages"] = rate(lambda: np.empty(n).__setitem__(slice(None, None, 512), 1.0), 8)
found["first_touch_huge_pages"] = found["first_touch_small_pages"]
found["cache_write"] = rate(lambda: a.tofile(file), 8)
found["cache_read"] = rate(lambda: open(file, "rb", buffering=0).readinto(b), 8)
print(json.dumps(found))
"""


def build():
    """The compiled floor.c, or None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    program = environment.cache_folder() / "bench-floor"
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        subprocess.run([compiler, "-O3", "-march=native", "-pthread", SOURCE, "-o", program], check=True)
    return program


def measure(python, scratch):
    """Rates in GB/s, and how they were found."""
    file, program = scratch / "floor.tmp", build()
    command = [program, file, clock.processors()] if program else [python, "-c", NUMPY, file]
    output, _ = process.run(command, environment.clean())
    return json.loads(output) | {"by": "floor.c" if program else "NumPy, no C compiler here"}


def least_seconds(rates, rows, way):
    """The time in which the bytes can move at best, all processors helping.

    In memory: the values are read once for the moments and once more for the z-scores, which are written. From and
    to Parquet: the file is read, the values are read again, the z-scores are written to the page cache.
    """
    gigabytes = 8 * rows / 1e9
    if way == "memory":
        return gigabytes / rates["read"] + 2 * gigabytes / rates["scale_write"]
    return gigabytes / rates["cache_read"] + gigabytes / rates["read"] + gigabytes / rates["cache_write"]
