"""Profiles a Parquet data set far larger than the memory that is allowed, and prints the peak memory it took.

    cargo build --release
    python3 bench/bounded.py [--gigabytes 20] [--columns 30] [--memory-limit 512MB] [--statistics full]

Makes the data set (one file, row groups of 1 Mi rows) under the cache folder, runs `caudal process` on it, and checks
one column of each kind against NumPy, sorted whole. Runs in the environment that `bench/peers.py` sets up.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from peers import environment, process  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
GROUP = 1 << 20
KINDS = ("continuous", "hundredths", "whole", "ascending", "heavy tail")


def group(kind, number, rows, base):
    """Some rows of a column: the same numbers for the same place on every run."""
    import numpy as np

    x = np.roll(base, number * 7919 + hash_of(kind))[:rows]
    shift = 1.0 + number * 1e-3
    if kind == "continuous":
        return x * 10.0 * shift + 50.0
    if kind == "hundredths":
        return np.round(np.exp(x * 0.8 + 3.0), 2)
    if kind == "whole":
        return np.round(x * 40.0)
    if kind == "ascending":
        return (np.arange(rows) + number * GROUP) * 0.5
    return np.exp(x * 8.0) * shift


def hash_of(kind):
    return KINDS.index(kind) * 104_729


def make(path, rows, columns):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    base = np.random.Generator(np.random.PCG64(7)).normal(size=GROUP)
    names = [f"c{i:02}" for i in range(columns)]
    schema = pa.schema([(name, pa.float64()) for name in names])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for number, start in enumerate(range(0, rows, GROUP)):
            count = min(GROUP, rows - start)
            made = [group(KINDS[i % len(KINDS)], number + i, count, base) for i in range(columns)]
            writer.write_table(pa.table(made, schema=schema), row_group_size=GROUP)


def check(path, response, columns):
    """Order statistics and counts of one column of each kind, exactly."""
    import numpy as np
    import pyarrow.parquet as pq

    found = response["spark_processing"]["rdd_results"]["columns"]
    wrong = 0
    for i in range(min(columns, len(KINDS))):
        name = f"c{i:02}"
        x = np.sort(pq.read_table(path, columns=[name])[name].to_numpy())
        n, column = len(x), found[name]
        expected = {"count": n, "min": x[0], "max": x[-1], "p50": float(np.percentile(x, 50))}
        got = {"count": column["count"], "min": column["min"], "max": column["max"],
               "p50": column["percentiles"]["p50"]}
        starts = np.flatnonzero(np.concatenate(([True], x[1:] != x[:-1])))
        lengths = np.diff(np.append(starts, n))
        expected |= {"mode": float(x[starts[lengths.argmax()]]), "frequency": int(lengths.max())}
        got |= {"mode": column["mode"]["value"], "frequency": column["mode"]["frequency"]}
        if column["distinct"] is not None:
            expected["distinct"], got["distinct"] = len(starts), column["distinct"]
        wrong += expected != got
        print(f"  {name} ({KINDS[i % len(KINDS)]}): {'equal' if expected == got else f'DIFFERS {expected} {got}'}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=20.0)
    parser.add_argument("--columns", type=int, default=30)
    parser.add_argument("--memory-limit", default="512MB")
    parser.add_argument("--statistics", default="full")
    parser.add_argument("--make-only", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help="keep the data set for the next run")
    parser.add_argument("--binary", default=str(TARGET / "release" / "caudal"))
    arguments = parser.parse_args()
    python = environment.prepare()
    if pathlib.Path(sys.prefix) != python.parent.parent:
        os.execve(python, [python, __file__, *sys.argv[1:]], environment.clean())
    rows = int(arguments.gigabytes * 1e9 / 8 / arguments.columns)
    folder = environment.cache_folder() / "bench-data"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"bounded-{rows}x{arguments.columns}.parquet"
    if arguments.make_only:
        return make(path, rows, arguments.columns)
    if not path.exists():
        # In a process of its own: a child begins with the peak memory of its parent, and ours is measured below.
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--make-only"], check=True)
    print(f"{path.stat().st_size / 1e9:.1f} GB, {rows} rows x {arguments.columns} columns, "
          f"limit {arguments.memory_limit}, statistics {arguments.statistics}", flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as bucket:
        output, run = process.run(
            [arguments.binary, "process", path, "--pipeline", "rdd", "--statistics", arguments.statistics,
             "--memory-limit", arguments.memory_limit, "--format", "json", "--storage", bucket],
            environment.clean())
        written = sum(f.stat().st_size for f in pathlib.Path(bucket).rglob("*") if f.is_file())
    response = json.loads(output)
    cells = rows * arguments.columns
    print(f"peak RSS {run['peak'] / 2**20:.0f} MiB, wall {run['wall']:.1f} s, CPU {run['cpu']:.1f} s, "
          f"{run['cpu'] / cells * 1e9:.1f} ns of CPU a cell; {written / 1e9:.1f} GB written "
          f"(normalisation {response['gpu_processing']['processing_time']:.1f} s, "
          f"rdd {response['spark_processing']['rdd_time']:.1f} s)", flush=True)
    wrong = check(path, response, arguments.columns)
    if not arguments.keep:
        path.unlink()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
