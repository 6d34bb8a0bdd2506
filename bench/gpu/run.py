#!/usr/bin/env python3
"""Builds, checks and times the GPU path against CuPy, in one call on a machine with a card.

    python3 bench/gpu/run.py [--rows 1e7,1e8,1e9] [--out gpu.json]

Needs NVIDIA's driver, Rust, and CuPy (`pip install cupy-cuda12x`; its column is empty without it). Every kind of work is timed
five times and the quickest counts. Data lies on the card beforehand, but for "host to host". Goals are those of an H200.
"""

import argparse
import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOALS = {"zscore": 2, "percentiles": 10, "profile": 15}
# Beyond this the processor takes too long for the comparison.
MOST_CHECKED = 100_000_000


def build():
    command = ["cargo", "build", "--release", "-p", "caudal-kernels", "--example", "gpu_resident"]
    subprocess.run(command, cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    return os.path.join(target, "release", "examples", "gpu_resident")


def ours(program, rows):
    arguments = [program, str(rows)] + ([] if rows <= MOST_CHECKED else ["--no-check"])
    return json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)


def cupy_times(rows):
    """The same work as CuPy's users write it; None without CuPy."""
    try:
        import cupy as cp
    except ImportError:
        return None
    x = cp.random.default_rng(7).standard_normal(rows)

    def quickest(work):
        best = float("inf")
        for _ in range(5):
            cp.cuda.Device().synchronize()
            begun = time.perf_counter()
            work()
            cp.cuda.Device().synchronize()
            best = min(best, time.perf_counter() - begun)
            cp.get_default_memory_pool().free_all_blocks()
        return best

    def moments():
        mean = x.mean()
        d = x - mean
        return float(x.min()), float(x.max()), *(float((d**k).mean()) for k in (2, 3, 4))

    def percentiles():
        return cp.percentile(x, [1, 5, 25, 50, 75, 90, 95, 99])

    def profile():
        moments()
        q = percentiles()
        iqr = q[4] - q[2]
        cp.histogram(x, bins=20)
        int(((x < q[2] - 1.5 * iqr) | (x > q[4] + 1.5 * iqr)).sum())
        int((cp.abs(x - x.mean()) > 3 * x.std()).sum())
        values, counts = cp.unique(x, return_counts=True)
        return values[counts.argmax()], len(values)

    def zscore():
        return (x - x.mean()) / x.std()

    def both():
        profile()
        return zscore()

    y = cp.empty_like(x)

    def copy():
        cp.copyto(y, x)

    return {
        "moments": quickest(moments),
        "zscore": quickest(zscore),
        "percentiles": quickest(percentiles),
        "profile": quickest(profile),
        "profile_and_zscore": quickest(both),
        "copy": quickest(copy),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1e7,1e8,1e9")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    program = build()
    results = []
    for rows in [int(float(rows)) for rows in arguments.rows.split(",")]:
        mine, theirs = ours(program, rows), cupy_times(rows)
        results.append({"caudal": mine, "cupy": theirs})
        print(f"\n{mine['card']}, {rows:,} f64")
        print("| work | Caudal | CuPy | ratio | goal |\n|---|---|---|---|---|")
        for work in ["moments", "zscore", "percentiles", "profile", "profile_and_zscore"]:
            cupy = theirs and theirs[work]
            ratio = f"{cupy / mine[work]:.1f}×" if cupy else "–"
            goal = f"≥ {GOALS[work]}×" if work in GOALS else ""
            shown = f"{cupy * 1e3:.2f} ms" if cupy else "–"
            print(f"| {work} | {mine[work] * 1e3:.2f} ms | {shown} | {ratio} | {goal} |")
        host, processor = mine["zscore_host_to_host"], mine["zscore_on_the_processor"]
        print(f"| z-score, host to host | {host * 1e3:.1f} ms | processor: {processor * 1e3:.1f} ms | | |")
        if theirs:
            bandwidth = 16 * rows / theirs["copy"]
            for work, touched in [("moments", 8), ("zscore", 16)]:
                share = touched * rows / mine[work] / bandwidth
                print(f"{work}: {share:.0%} of the card's copy bandwidth of {bandwidth / 1e12:.2f} TB/s; goal ≥ 80 %")
    if arguments.out:
        with open(arguments.out, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
