"""Times the main job from outside: a Parquet file through both pipelines, and requests to a running server.

    cargo build --release
    python3 bench/main_job.py --parquet FILE [--column NAME ...] [--rounds 5]

Standard library only. Prints one line for each figure: CPU-seconds and wall seconds of the whole process for the
file, milliseconds from connecting to the last byte for the requests. The medians go into docs/benchmarks.md.
"""

import argparse
import http.client
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def children_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_file(binary, file, columns, pipeline, rounds):
    """CPU and wall seconds of `caudal process FILE`, and the times that it reports itself."""
    named = [word for name in columns for word in ("--column", name)]
    figures = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as bucket:
            cpu, wall = children_cpu(), time.perf_counter()
            command = [binary, "process", file, *named, "--pipeline", pipeline, "--format", "json", "--storage", bucket]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            wall, cpu = time.perf_counter() - wall, children_cpu() - cpu
            response = json.loads(done.stdout)
            results = response["spark_processing"]
            figures.append((cpu, wall, response["gpu_processing"]["processing_time"], results["rdd_time"],
                            results["dataframe_time"]))
    cpu, wall, normalize, rdd, dataframe = (statistics.median(f for f in column if f is not None)
                                            if any(f is not None for f in column) else None
                                            for column in zip(*figures))
    rows = response["processing_summary"]["data_processed"] // response["processing_summary"]["columns"]
    shown = " ".join(f"{name} {seconds:.3f} s" for name, seconds in
                     (("normalisation", normalize), ("rdd", rdd), ("dataframe", dataframe)) if seconds is not None)
    print(f"{pathlib.Path(file).name}, {rows} rows x {response['processing_summary']['columns']} columns, {pipeline}: "
          f"CPU {cpu:.2f} s, wall {wall:.2f} s ({shown})")


def start_server(binary, bucket):
    server = subprocess.Popen([binary, "serve", "--listen", "127.0.0.1:0", "--storage", bucket],
                              stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if found:
            return server, int(found.group(1))
    sys.exit("the server did not start")


def run_requests(binary, name, body, rounds):
    """Milliseconds of one request at a time to an idle server, a new connection for each."""
    with tempfile.TemporaryDirectory() as bucket:
        server, port = start_server(binary, bucket)
        try:
            times = []
            for _ in range(rounds + 3):
                begun = time.perf_counter()
                connection = http.client.HTTPConnection("127.0.0.1", port)
                connection.request("POST", "/process", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                times.append(1000 * (time.perf_counter() - begun))
                if answer.status != 200:
                    sys.exit(f"{answer.status}: {text[:500]}")
                connection.close()
        finally:
            server.terminate()
            server.wait()
    first, times = times[0], sorted(times[3:])
    print(f"{name}: median {statistics.median(times):.1f} ms, worst {times[-1]:.1f} ms of {len(times)}, "
          f"the very first {first:.1f} ms")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--parquet", default=str(ROOT / "examples" / "flights.parquet"))
    arguments.add_argument("--column", action="append", default=[])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--binary", default=str(TARGET / "release" / "caudal"))
    asked = arguments.parse_args()
    for pipeline in ("both", "rdd", "dataframe"):
        run_file(asked.binary, asked.parquet, asked.column, pipeline, asked.rounds)
    run_requests(asked.binary, "5 elements", json.dumps({"data": [1.5, 2.5, None, 4.0, 8.0]}), 40 * asked.rounds)
    million = json.dumps({"data": [((i * 2654435761) % 1000003) / 7 for i in range(1_000_000)]})
    run_requests(asked.binary, "1,000,000 elements inline", million, asked.rounds)


if __name__ == "__main__":
    main()
