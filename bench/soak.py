"""Steady load on one server for a while: how its resident memory and its latency develop.

    cargo build --release
    python3 bench/soak.py --minutes 10 [--rate 20]

Standard library only. Asks for small jobs, some of them at once and some asynchronous, at a steady rate, and reads the
process's resident memory every second. Prints the slope of the memory by least squares over the second half, when all pools
are warm; ends with 1 where it grows by more than `--most` MB in an hour and by more than 20 MB in the run.
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def resident(pid):
    """Bytes of resident memory."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def start(binary, bucket):
    server = subprocess.Popen([binary, "serve", "--listen", "127.0.0.1:0", "--storage", bucket],
                              stderr=subprocess.PIPE, text=True, env={**os.environ, "CAUDAL_LOG": "error"})
    for line in server.stderr:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if found:
            threading.Thread(target=lambda: [None for _ in server.stderr], daemon=True).start()
            return server, int(found.group(1))
    sys.exit("the server did not start")


def ask(port, number):
    """Milliseconds of one request; none where it was refused."""
    length = (5, 5, 100, 5_000)[number % 4]
    body = json.dumps({"data": [(i * 7 + number) % 1000 for i in range(length)], "pipeline_type": "both"})
    headers = {"Content-Type": "application/json"} | ({"Prefer": "respond-async"} if number % 3 == 0 else {})
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/process", body, headers)
        answer = connection.getresponse()
        answer.read()
        return 1000 * (time.perf_counter() - begun) if answer.status in (200, 202) else None
    finally:
        connection.close()


def slope(samples):
    """Bytes per second by least squares."""
    times, sizes = zip(*samples)
    mean_time, mean_size = statistics.fmean(times), statistics.fmean(sizes)
    spread = sum((t - mean_time) ** 2 for t in times)
    return sum((t - mean_time) * (s - mean_size) for t, s in samples) / spread if spread else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=TARGET / "release" / "caudal")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=20.0, help="requests in a second")
    parser.add_argument("--most", type=float, default=60.0, help="MB in an hour by which memory may grow")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as bucket:
        server, port = start(options.binary, bucket)
        samples, latencies, refused, number = [], [], 0, 0
        begun = time.time()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            asked = set()
            while time.time() - begun < options.minutes * 60:
                asked.add(pool.submit(ask, port, number))
                number += 1
                for done in [one for one in asked if one.done()]:
                    asked.remove(done)
                    took = done.result()
                    refused += took is None
                    if took is not None:
                        latencies.append(took)
                if not samples or time.time() - begun - samples[-1][0] >= 1:
                    samples.append((time.time() - begun, resident(server.pid)))
                behind = begun + number / options.rate - time.time()
                if behind > 0:
                    time.sleep(behind)
            for one in asked:
                refused += one.result() is None
        server.terminate()
        server.wait()
        warm = samples[len(samples) // 2:]
        growth = slope(warm) * 3600 / 1e6
        grown = (warm[-1][1] - warm[0][1]) / 1e6
        latencies.sort()
        print(f"{number} requests in {options.minutes:g} min, {refused} refused; median {statistics.median(latencies):.1f} ms, "
              f"99 % below {latencies[int(len(latencies) * 0.99)]:.1f} ms")
        print(f"resident memory: {samples[0][1] / 1e6:.1f} MB at first, {warm[0][1] / 1e6:.1f} MB in the middle, "
              f"{samples[-1][1] / 1e6:.1f} MB at the end; slope of the second half {growth:+.1f} MB/h")
    sys.exit(1 if growth > options.most and grown > 20 else 0)


if __name__ == "__main__":
    main()
