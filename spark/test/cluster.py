#!/usr/bin/env python3
"""A standalone cluster of one master and two workers on loopback: the same answers, also when a worker is killed in mid-job.

`spark/test/cluster.py --spark HOME --caudal BINARY`
"""

import argparse
import json
import pathlib
import random
import sys
import tempfile

import processes
from product import Product, same

ROWS = 100_000


def source(folder):
    rng = random.Random(7)
    path = folder / "in.csv"
    with open(path, "w") as out:
        out.write("normal,whole,name\n")
        for row in range(ROWS):
            out.write(f"{rng.gauss(5, 2)!r},{rng.randrange(1000)},\"row {row}\"\n")
    return path


def killed_in_mid_job(product, cluster, path):
    """Runs a job, and kills a worker with its executor once that has begun to compute."""
    before = set(cluster.folder.glob("work-1/app-*"))
    running = product.start(path, "--pipeline", "both", "--format", "json", "--master", cluster.master)
    work = product.folder / "caudal" / "work"
    victim = cluster.workers[0]

    def computes():
        assert running.poll() is None, running.communicate()
        logs = [log for log in cluster.folder.glob("work-1/app-*/*/stderr") if log.parents[1] not in before]
        return any("Finished task" in log.read_text(errors="replace") for log in logs) and list(work.glob("*"))

    processes.wait("no executor of the first worker computes", computes, 300)
    assert running.poll() is None, "the job has ended too early to be disturbed"
    processes.end(victim.pid)
    victim.wait()
    out, err = running.communicate(timeout=300)
    assert running.returncode == 0, err
    return json.loads(out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spark", required=True)
    parser.add_argument("--caudal", required=True)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        product = Product(asked.caudal, asked.spark, folder)
        path = source(folder)
        reference = product.answer(path, "--pipeline", "rdd", engine="embedded")
        with processes.Cluster(asked.spark, folder) as cluster:
            quiet = product.answer(path, "--pipeline", "both", "--master", cluster.master)
            disturbed = killed_in_mid_job(product, cluster, path)
        found = []
        for name, answer in [("both workers", quiet), ("one killed", disturbed)]:
            found += [f"{name}: {line}" for line in same(reference, answer)]
            spark = answer["spark_processing"]["spark"]
            print(f"{name}: {spark['work']['wall_seconds']:.1f} s, {spark['executors']} executors, {spark['work']['tasks']} tasks, "
                  f"{spark['work']['failed_tasks']} failed")
        log = folder / "bucket" / "logs" / "spark" / disturbed["job_id"] / "attempt-1" / "driver.log"
        if "Lost executor" not in log.read_text(errors="replace"):
            found.append("the log of the disturbed job does not tell of a lost executor")
        if quiet["spark_processing"]["spark"]["executors"] != 2:
            found.append("not both workers worked")
        if product.applications():
            found.append(f"processes live on: {product.applications()}")
        for line in found:
            print(line)
        sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
