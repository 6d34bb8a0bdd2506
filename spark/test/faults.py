#!/usr/bin/env python3
"""What goes wrong with a real Spark: a sentence for each, no process that lives on, nothing half-written that a reader could see.

`spark/test/faults.py --spark HOME --caudal BINARY`
"""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import processes
from hard import parts, write
from product import Product, same


class Faults:
    def __init__(self, binary, spark, folder):
        self.binary, self.spark, self.folder = binary, spark, folder
        self.product = Product(binary, spark, folder)
        self.found = []
        source = write(folder / "in.csv", {"x": [float(i) for i in range(20_000)], "y": [i / 3 for i in range(20_000)]})
        self.csv = source
        self.parquet = next(parts(self.product, source, folder / "one").iterdir())
        shutil.rmtree(folder / "bucket")

    def files(self, name, count=8):
        """A folder of copies of one Parquet file."""
        below = self.folder / name
        below.mkdir()
        for number in range(count):
            shutil.copy(self.parquet, below / f"{number}.parquet")
        return below

    def fails(self, name, run, code, *said):
        """Checks how a run has ended, and what it left."""
        found_code, _, err = run
        told = err.strip().splitlines()[0] if err.strip() else ""
        print(f"{name}: {found_code}: {told[:240]}", flush=True)
        if found_code != code:
            self.found.append(f"{name}: exit code {found_code}, expected {code}")
        self.found += [f"{name}: does not say {word!r}: {err}" for word in said if word not in err]
        if self.product.visible():
            self.found.append(f"{name}: visible: {self.product.visible()[:5]}")
        try:
            processes.wait("processes live on", lambda: not self.product.applications(), 20)
        except TimeoutError:
            self.found.append(f"{name}: processes live on: {self.product.applications()}")

    def data(self):
        damaged = self.files("damaged")
        with open(damaged / "5.parquet", "r+b") as file:
            # The pages, not the footer: only whoever reads the values can see it.
            file.seek(8)
            file.write(b"\xff" * 400)
        self.fails("a damaged page among many files", self.product.run(damaged), 65, "5.parquet")
        cut = self.files("cut")
        with open(cut / "3.parquet", "r+b") as file:
            file.truncate(file.seek(0, 2) // 2)
        self.fails("a file cut off among many", self.product.run(cut), 65, "3.parquet")
        less = self.files("less")
        only = write(self.folder / "x.csv", {"x": [1.0, 2.0]})
        shutil.copy(next(parts(self.product, only, self.folder / "x-only").iterdir()), less / "4.parquet")
        shutil.rmtree(self.folder / "bucket")
        self.fails("a column missing in one file", self.product.run(less), 65, "4.parquet", "\"y\"")
        drift = self.folder / "drift"
        drift.mkdir()
        (drift / "a.csv").write_text("x,y\n1,2\n")
        (drift / "b.csv").write_text("x,y\n1,two\n")
        self.fails("another type in one file", self.product.run(drift), 65, "b.csv", "column y")

    def places(self):
        self.fails("no master", self.product.run(self.csv, "--master", f"spark://127.0.0.1:{processes.free_port()}"), 69, "does not answer")
        self.fails("no Spark", self.product.run(self.csv, CAUDAL__SPARK__HOME=str(self.folder)), 69, "caudal spark install")
        self.fails("no Java", self.product.run(self.csv, CAUDAL__SPARK__JAVA_HOME=str(self.folder)), 69, "OpenJDK 17")
        old = self.folder / "old" / "bin" / "java"
        old.parent.mkdir(parents=True)
        old.write_text("#!/bin/sh\necho 'java version \"1.7.0_80\"' >&2\n")
        old.chmod(0o755)
        self.fails("a Java that is too old", self.product.run(self.csv, CAUDAL__SPARK__JAVA_HOME=str(self.folder / "old")), 69, "1.7.0_80")

    def memory(self):
        """More columns than the states of one task have room for: on this machine, and in an executor of a cluster."""
        path = write(self.folder / "wide.csv", {f"c{c}": [1.0 + c, 2.0 * c] for c in range(40_000)})
        self.fails("no memory here", self.product.run(path, "--pipeline", "rdd", "--memory-limit", "512MB"), 71, "memory")
        with processes.Cluster(self.spark, self.folder, memory="600m") as cluster:
            run = self.product.run(path, "--pipeline", "rdd", "--master", cluster.master, "--executor-memory", "512m")
            self.fails("executors without memory", run, 71, "memory")

    def disk(self):
        """A bucket on a disk of 2 MB."""
        small = self.folder / "small"
        small.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(small)], stderr=subprocess.DEVNULL, check=False).returncode:
            print("skipped: a full disk needs the right to mount one")
            return
        try:
            wide = write(self.folder / "big.csv", {f"c{c}": [r + c / 7 for r in range(30_000)] for c in range(20)})
            bucket, self.product.folder = self.product.folder, small
            self.product.environment["CAUDAL__SPARK__FOLDER"] = str(self.folder / "caudal")
            run = self.product.run(wide)
            self.fails("a full disk", run, 74, "disk is full")
            self.product.folder = bucket
        finally:
            subprocess.run(["umount", str(small)], check=False)

    def killed(self):
        """Caudal itself is killed in mid-job: Spark ends with it."""
        running = self.product.start(self.csv, "--pipeline", "both")
        processes.wait("Spark does not start", self.product.applications)
        os.kill(running.pid, signal.SIGKILL)
        running.communicate()
        processes.wait("Spark lives on", lambda: not self.product.applications(), 30)
        self.fails("Caudal killed", (-9, "", ""), -9)

    def afterwards(self):
        """After all that, a job on the same bucket is answered."""
        answer = self.product.answer(self.csv, "--pipeline", "both")
        self.found += same(self.product.answer(self.csv, "--pipeline", "rdd", engine="embedded"), answer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spark", required=True)
    parser.add_argument("--caudal", required=True)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        faults = Faults(asked.caudal, asked.spark, pathlib.Path(temporary))
        for group in [faults.places, faults.data, faults.killed, faults.disk, faults.memory, faults.afterwards]:
            if asked.only in group.__name__:
                group()
    for line in faults.found:
        print(line)
    sys.exit(1 if faults.found else 0)


if __name__ == "__main__":
    main()
