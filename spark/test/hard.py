#!/usr/bin/env python3
"""Data that is hard: exact through both pipelines, within 1 GB, through the product on a real Spark.

`spark/test/hard.py --spark HOME --caudal BINARY [--only NAME]`
"""

import argparse
import math
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time

import processes
from product import Product, same

MEMORY = "1GiB"


def write(path, columns):
    with open(path, "w") as out:
        out.write(",".join(columns) + "\n")
        for row in zip(*columns.values()):
            out.write(",".join("" if v is None else repr(v) if math.isfinite(v) else "NaN" if v != v else
                               "inf" if v > 0 else "-inf" for v in row) + "\n")
    return path


def shapes(folder):
    rng, rows = random.Random(11), 150_000
    near = [1e9 + i * 2.0**-23 for i in range(64)]
    whole = list(range(rows))
    rng.shuffle(whole)
    columns = {
        "all_distinct": [rng.random() for _ in range(rows)],
        "distinct_whole": [float(v) for v in whole],
        "one_value_99": [3.25 if rng.random() < 0.99 else rng.gauss(0, 1) for _ in range(rows)],
        "sorted": [i / 7 for i in range(rows)],
        "sorted_down": [-i * 1.5 for i in range(rows)],
        "heavy": [math.tan(math.pi * (rng.random() - 0.5)) ** 3 for _ in range(rows)],
        "wide": [math.ldexp(rng.random() - 0.5, rng.randrange(-1000, 1000)) for _ in range(rows)],
        "near": [rng.choice(near) for _ in range(rows)],
        "missing": [None] * rows,
        "nan_and_inf": [rng.choice([math.nan, math.inf, -math.inf, None, rng.random()]) for _ in range(rows)],
        "only_inf": [math.inf] * rows,
        "constant": [-2.5] * rows,
        "frequent_pairs": [float(i // 2) for i in whole],
    }
    return write(folder / "shapes.csv", columns)


def wide(folder):
    rng = random.Random(12)
    return write(folder / "wide.csv", {f"c{c}": [rng.gauss(c, 1) if rng.random() < 0.9 else None for _ in range(400)] for c in range(2_000)})


def parts(product, path, into):
    """The Parquet files of a source, through the embedded engine."""
    answer = product.answer(path, "--normalize", "none", "--output-format", "parquet", engine="embedded")
    into.mkdir()
    for part in sorted((product.folder / "bucket" / "normalized_data" / answer["job_id"]).glob("*.parquet")):
        shutil.copy(part, into / part.name)
    return into


def many_files(folder):
    rng = random.Random(13)
    (folder / "many").mkdir()
    for number in range(10_000):
        rows = "".join(f"{rng.gauss(0, 1)!r},{number}\n" for _ in range(5))
        (folder / "many" / f"{number:05}.csv").write_text("x,y\n" + rows)
    return folder / "many"


def many_parquet(product, folder):
    one = write(folder / "one.csv", {"x": [1.5, None, -3.0], "y": [1.0, 2.0, 2.0]})
    part = next(parts(product, one, folder / "one").iterdir())
    (folder / "many-parquet").mkdir()
    for number in range(10_000):
        shutil.copy(part, folder / "many-parquet" / f"{number:05}.parquet")
    return folder / "many-parquet"


class Peak(threading.Thread):
    """The largest resident memory of the applications of a product, in MB."""

    def __init__(self, product):
        super().__init__(daemon=True)
        self.product, self.megabytes, self.ended = product, 0, False

    def run(self):
        while not self.ended:
            for pid in self.product.applications():
                try:
                    status = pathlib.Path(f"/proc/{pid}/status").read_text()
                    resident = [line for line in status.splitlines() if line.startswith("VmHWM")]
                    self.megabytes = max([self.megabytes] + [int(line.split()[1]) >> 10 for line in resident])
                except OSError:
                    pass
            time.sleep(0.2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spark", required=True)
    parser.add_argument("--caudal", required=True)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        product = Product(asked.caudal, asked.spark, folder)
        made = {
            "shapes": lambda: shapes(folder), "shapes as Parquet": lambda: parts(product, shapes(folder), folder / "shapes"),
            "2,000 columns": lambda: wide(folder), "2,000 columns as Parquet": lambda: parts(product, wide(folder), folder / "wide"),
            "10,000 files": lambda: many_files(folder), "10,000 Parquet files": lambda: many_parquet(product, folder),
        }
        for name, make in made.items():
            if asked.only not in name:
                continue
            path = make()
            # Without `distinct` the pipelines look for the mode in another way.
            for statistics in ["full", "core"] if "shapes" in name else ["full"]:
                failed |= bool(run(product, f"{name}, {statistics}", path, "--statistics", statistics))
    sys.exit(1 if failed or processes.naming(temporary) else 0)


def run(product, name, path, *arguments):
    """Processes a source on both engines and says what was seen; what differs."""
    reference = product.answer(path, "--pipeline", "rdd", *arguments, engine="embedded")
    peak = Peak(product)
    peak.start()
    begun = time.monotonic()
    answer = product.answer(path, "--pipeline", "both", "--memory-limit", MEMORY, *arguments)
    peak.ended = True
    found = same(reference, answer)
    found += ["the pipelines disagree"] if not answer["spark_processing"]["agreement"] else []
    spark = answer["spark_processing"]
    print(f"{name}: {time.monotonic() - begun:.0f} s, rdd {spark['rdd_time']:.1f} s, dataframe {spark['dataframe_time']:.1f} s, "
          f"heap {MEMORY}, process {peak.megabytes} MB, {spark['spark']['work']['tasks']} tasks, {len(found)} differ", flush=True)
    for line in found[:20]:
        print(f"  {line}")
    return found


if __name__ == "__main__":
    main()
