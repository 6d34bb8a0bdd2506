#!/usr/bin/env python3
"""Our two pipelines on Spark against PySpark's ways, on one column of f64 in Parquet.

    python3 bench/spark.py [--rows 5e7] [--small 1e6] [--only NAME]

Needs Java; makes its own Python environment. Seconds of wall clock, CPU seconds and peak memory of everything that runs (JVM and
Python workers), from when the session is up to the end, and of the whole process from its start. Every way computes the profile
of the contract but `distinct`, and writes the z-scores; ours also reads them back, to prove what was stored.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "caudal"
NEEDED = ["pyspark==3.4.4", "numpy", "pandas<3", "pyarrow", "psutil"]
TICK = os.sysconf("SC_CLK_TCK")
# As the product chooses them (crates/processing/spark/src/sizing.rs).
FIRST_COMPILER = "-XX:TieredStopAtLevel=1"
LOOPS_ONLY = ("-XX:Tier4InvocationThreshold=100000 -XX:Tier4MinInvocationThreshold=20000 -XX:Tier4CompileThreshold=200000 "
              "-XX:Tier4BackEdgeThreshold=1000000")
TREE = "PySpark + NumPy, pass by pass"
PLAIN = "DataFrame API, approximate quantiles"


def environment():
    """A Python with PySpark and NumPy."""
    python = CACHE / "python" / "bench-spark" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *NEEDED], check=True)
    return python


def data(python, rows):
    folder = CACHE / "bench-spark"
    code = f"from peers import dataset; dataset.make({rows}, {str(folder)!r})"
    subprocess.run([python, "-c", code], check=True, cwd=ROOT / "bench")
    return folder / f"x-{rows}.parquet"


def cpu_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / TICK


def keep_classes(python, home, jar):
    """Spark's classes in a file, as `caudal spark install` keeps them."""
    kept = CACHE / "bench-spark" / "classes.jsa"
    if not kept.exists():
        with tempfile.TemporaryDirectory() as temporary:
            ours(home, data(python, 1000), "rdd+dataframe", 1000, pathlib.Path(temporary), jar, f"-XX:ArchiveClassesAtExit={kept}")
    return f"-XX:SharedArchiveFile={kept}"


def ours(home, source, pipeline, rows, folder, jar, classes):
    """One submission as the product makes it; what it took since the session was up, and in all."""
    spec = {"job_id": "bench", "source": {"uris": [f"file://{source}"], "format": "parquet"}, "statistics": "core",
            "pipelines": pipeline.split("+"), "output": {"uri": f"file://{folder}/data"}, "results_uri": f"file://{folder}/results.json"}
    (folder / "spec.json").write_text(json.dumps(spec))
    cores = len(os.sched_getaffinity(0))
    collector = "-XX:+UseSerialGC" if cores <= 2 else "-XX:+UseParallelGC"
    compiler = FIRST_COMPILER if rows * 8 < 256 << 20 else LOOPS_ONLY
    options = f"{collector} {compiler} {classes}"
    command = [f"{home}/bin/spark-submit", "--master", f"local[{cores}]", "--driver-memory", f"{1024 + 2 * rows * 8 // 2**20}m",
               "--driver-java-options", options, "--conf", "spark.ui.enabled=false", "--conf", f"spark.sql.shuffle.partitions={3 * cores}",
               "--class", "caudal.Job", str(jar), str(folder / "spec.json")]
    begun = time.monotonic()
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               env=dict(os.environ, SPARK_HOME=home, SPARK_LOCAL_IP="127.0.0.1", SPARK_LOCAL_DIRS=str(folder)))
    up = cpu_up = None
    for line in running.stdout:
        if '"started"' in line:
            up, cpu_up = time.monotonic(), cpu_of(running.pid)
    _, status, used = os.wait4(running.pid, 0)
    ended = time.monotonic()
    running.returncode = status
    if status != 0 or up is None:
        sys.exit(f"{pipeline}: the job failed")
    results = json.loads((folder / "results.json").read_text())
    steps = {name: results[f"{name}_metrics"] for name in ["rdd", "dataframe", "normalization"] if results[f"{name}_metrics"]}
    cpu = used.ru_utime + used.ru_stime
    return {"wall": ended - up, "cpu": cpu - cpu_up, "peak": used.ru_maxrss << 10, "whole": ended - begun, "whole_cpu": cpu,
            "tasks_cpu": {name: round(found["executor_cpu_seconds"], 1) for name, found in steps.items()}}


def peer(name, source, folder):
    """Runs within a Python of its own and prints what the work took once the session was up."""
    sys.path.insert(0, str(ROOT / "bench"))
    begun = time.monotonic()
    from pyspark.sql import functions as F
    # PySpark has it from 3.5 on.
    F.count_if = getattr(F, "count_if", lambda holds: F.sum(holds.cast("int")))
    from peers.engines import spark_local
    spark_local.spark.range(1).count()
    before, up = spark_local.cpu_seconds(), time.monotonic()
    if name == TREE:
        spark_local.parquet(source, folder, False)
    else:
        plain(spark_local.spark, source, folder)
    ended = time.monotonic()
    cpu = spark_local.cpu_seconds()
    print(json.dumps({"wall": ended - up, "cpu": cpu - before, "peak": spark_local.peak_bytes(), "whole": ended - begun,
                      "whole_cpu": cpu}))


def plain(spark, source, folder):
    """As most would write it: its quantiles are approximate, and its moments drift."""
    from pyspark.sql import functions as F
    frame = spark.read.parquet(source)
    x = F.col("x")
    finite = frame.where((x > -float("inf")) & (x < float("inf")))
    found = finite.agg(
        F.count("x"), F.sum("x"), F.mean("x").alias("mean"), F.stddev_pop("x").alias("std"), F.variance("x"), F.skewness("x"), F.kurtosis("x"),
        F.min("x").alias("min"), F.max("x").alias("max"), F.count_if(x == 0), F.count_if(x < 0),
        F.percentile_approx("x", [.01, .05, .25, .5, .75, .9, .95, .99], 10_000).alias("p")).first()
    q1, q3 = found["p"][2], found["p"][4]
    reach = 1.5 * (q3 - q1)
    finite.agg(F.count_if((x < q1 - reach) | (x > q3 + reach)), F.count_if(F.abs(x - found["mean"]) > 3 * found["std"])).first()
    width = (found["max"] - found["min"]) / 20
    finite.groupBy(F.least(F.lit(19), F.floor((x - found["min"]) / width))).count().collect()
    finite.groupBy("x").count().orderBy(F.desc("count"), "x").first()
    frame.select(((x - found["mean"]) / found["std"]).alias("x")).write.mode("overwrite").parquet(folder)


def row(name, rows, took):
    return (f"| {name} | {rows:.0e} | {took['wall']:.1f} / {took['cpu']:.1f} | {took['peak'] / 1e9:.2f} | "
            f"{took['whole']:.1f} / {took['whole_cpu']:.1f} |" + (f" {took['tasks_cpu']}" if "tasks_cpu" in took else ""))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=float, default=5e7)
    parser.add_argument("--small", type=float, default=1e6)
    parser.add_argument("--only", default="")
    parser.add_argument("--jar", type=pathlib.Path, default=ROOT / "spark/caudal-spark.jar", help="another build of ours")
    parser.add_argument("--peer", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.peer:
        return peer(*asked.peer)
    python = environment()
    home = str(next((CACHE / "python" / "bench-spark").glob("lib/python3*/site-packages/pyspark")))
    classes = keep_classes(python, home, asked.jar)
    print("| way | rows | wall / CPU s | peak GB | whole process |\n|---|---|---|---|---|")
    for rows in [int(asked.small), int(asked.rows)]:
        source = data(python, rows)
        for name in ["rdd", "dataframe", TREE, PLAIN]:
            if asked.only not in f"{name} {rows}" or rows == 0:
                continue
            with tempfile.TemporaryDirectory() as temporary:
                folder = pathlib.Path(temporary)
                if name in ("rdd", "dataframe"):
                    took = ours(home, source, name, rows, folder, asked.jar, classes)
                else:
                    done = subprocess.run([python, __file__, "--peer", name, str(source), str(folder / "data")], capture_output=True,
                                          text=True, check=False)
                    if done.returncode != 0:
                        sys.exit(f"{name}: {done.stderr[-2000:]}")
                    took = json.loads(done.stdout.splitlines()[-1])
            print(row({"rdd": "**Caudal, RDD**", "dataframe": "**Caudal, DataFrame**"}.get(name, name), rows, took), flush=True)


main()
