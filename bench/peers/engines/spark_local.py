"""Spark in local mode: exact histograms by NumPy in mapInArrow, pass by pass, so that nothing is shuffled or sorted.

Pass one counts the leading 16 bits of each value's key (which orders as the values do) and a hash of it; pass two
the next 16 bits where a percentile lies, and the values in the fullest hash buckets; pass three fetches the few
values left.
The session is started, and its time spent, before anything is measured.
"""

import atexit
import math
import os
import pathlib
import sys

import numpy as np
import psutil
import pyarrow as pa
from pyspark.sql import SparkSession, functions as F

from peers import clock, work
from peers.dataset import BLOCK
from peers.engines.spark_passes import as_task, first_pass, second_pass, third_pass, value_of

HOT_BUCKETS = 256
# Workers use this Python and find this package.
os.environ |= {"PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
SETTINGS = {
    "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR",
    "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "6g", "spark.driver.maxResultSize": "4g",
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(BLOCK // 4),
    "spark.sql.inMemoryColumnarStorage.compressed": "false", "spark.sql.inMemoryColumnarStorage.batchSize": "65536",
    "spark.sql.files.maxPartitionBytes": str(64 << 20),
    "spark.sql.parquet.compression.codec": "none", "parquet.enable.dictionary": "false",
}
spark = SparkSession.builder.master(f"local[{clock.processors()}]").appName("peers").config(map=SETTINGS).getOrCreate()
atexit.register(spark.stop)
kept = []


def tree():
    return [psutil.Process(), *psutil.Process().children(recursive=True)]


def cpu_seconds():
    """Of this process, the JVM and its Python workers, living and reaped."""
    return sum(sum(process.cpu_times()[:4]) for process in tree())


def peak_bytes():
    """The sum of each process's own peak, which is at least the peak of all together."""
    statuses = (pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines() for process in tree())
    return sum(1024 * int(line.split()[1]) for lines in statuses for line in lines if line.startswith("VmHWM"))


def collected(frame, visit):
    """The arrays that a pass answers from each partition, by name."""
    found = {}
    for row in frame.mapInArrow(as_task(visit), "name string, type string, bytes binary").collect():
        found.setdefault(row["name"], []).append(np.frombuffer(row["bytes"], dtype=row["type"]))
    return found


def place(histogram, ranks):
    """For each rank the slot of a histogram that holds it, and its rank within the slot."""
    ends = np.cumsum(histogram)
    slots = np.searchsorted(ends, ranks, side="right")
    return slots, np.asarray(ranks) - (ends - histogram)[slots]


def order_statistics(frame, leading, below, prefixes, ranks):
    """The value at each rank, by narrowing 16 bits at a time and then fetching what is left."""
    slots, within = place(leading, ranks)
    fine = [place(below[prefixes.index(slot)], [rank]) for slot, rank in zip(slots, within)]
    narrow = [(int(slot) << 16) | int(found[0][0]) for slot, found in zip(slots, fine)]
    left = np.sort(np.concatenate(collected(frame, third_pass(np.unique(np.array(narrow, np.uint64))))["keys"]))
    starts = np.searchsorted(left, np.array(narrow, np.uint64) << np.uint64(32))
    return {rank: value_of(left[start + int(found[1][0])]) for rank, start, found in zip(ranks, starts, fine)}


def mode(finite, found, hashed, hot):
    """The most frequent value: proven where no bucket that was left out holds as many values, else by grouping."""
    values, places = np.unique(np.concatenate(found["values"]), return_inverse=True)
    counts = np.bincount(places, weights=np.concatenate(found["frequencies"])).astype(np.int64)
    best = int(counts.argmax())
    if hashed[~hot].max() >= counts[best]:
        return finite.groupBy("x").count().orderBy(F.desc("count"), "x").first()
    return value_of(values[best]), counts[best]


def statistics(frame, full):
    one = collected(frame, first_pass)
    rows, missing = (int(n) for n in sum(one["counts"]))
    leading, hashed = sum(one["leading"]), sum(one["hashed"])
    count = int(leading.sum())
    low, high = min(limits[0] for limits in one["limits"]), max(limits[1] for limits in one["limits"])
    mean = math.fsum(float(part[0]) for part in one["sum"]) / count
    ranks = work.needed_ranks(count)
    prefixes = sorted({int(slot) for slot in place(leading, ranks)[0]})
    hot = np.zeros(len(hashed), bool)
    hot[np.argsort(hashed)[-HOT_BUCKETS:]] = True
    two = collected(frame, second_pass(mean, np.array(work.edges(low, high)), prefixes, hot))
    found = work.recentred(count, mean, *(math.fsum(column) for column in zip(*two["sums"])))
    below = sum(two["below"]).reshape(len(prefixes), 1 << 16)
    quantiles = work.percentiles(count, order_statistics(frame, leading, below, prefixes, ranks).__getitem__)
    lower, upper = work.fences(quantiles)
    reach, x = 3 * math.sqrt(found["variance"]), F.col("x")
    finite = frame.where((x > -math.inf) & (x < math.inf))
    aggregates = [F.count_if((x < lower) | (x > upper)), F.count_if(F.abs(x - found["mean"]) > reach)]
    aggregates += [F.count_distinct(x)] if full else []
    outliers, zscore_outliers, *distinct = finite.agg(*aggregates).first()
    zeros, negatives = sum(two["signs"])
    return work.profile(
        rows=rows, missing=missing, infinite=rows - missing - count, moments=found, low=low, high=high,
        quantiles=quantiles, outliers=outliers, zscore_outliers=zscore_outliers, zeros=zeros, negatives=negatives,
        mode=mode(finite, two, hashed, hot), bins=sum(two["bins"]), distinct=distinct[0] if full else None)


def standardised(frame, found):
    return frame.select(((F.col("x") - found["mean"]) / found["std_dev"]).alias("x"))


def cached(frame):
    frame.cache().count()
    return frame


def load(values):
    return cached(spark.createDataFrame(pa.table({"x": values})))


def to_numpy(zscores):
    return zscores.toArrow().column(0).to_numpy()


def memory(data, full):
    for earlier in kept:
        earlier.unpersist(blocking=True)
    found = statistics(data, full)
    kept[:] = [cached(standardised(data, found))]
    return found, kept[0]


def parquet(source, folder, full):
    frame = spark.read.parquet(source)
    found = statistics(frame, full)
    standardised(frame, found).write.mode("overwrite").parquet(folder)
    return found
