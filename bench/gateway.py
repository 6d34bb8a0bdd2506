#!/usr/bin/env python3
"""Figures of the gateway: requests and jobs a second, a crowd of large bodies, malformed bodies, memory of one body.

    cargo build --release && python3 bench/gateway.py [--binary target/release/caudal] [--seconds 10] [--only NAME ...]

Starts a server of its own on loopback with an empty bucket for every figure. Clients are processes with plain sockets and
kept connections, on the same machine: what they take of its cores is missing to the server, and is printed. Needs
nothing but Python, and Linux for /proc.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

CLIENTS = 8
CROWD = 64
ELEMENTS = 1_000_000

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


class Server:
    """`caudal serve` with a bucket of its own."""

    def __init__(self, binary, settings=None, folder=None):
        self.folder = folder or tempfile.mkdtemp(prefix="caudal-bench-")
        environment = {**os.environ, "CAUDAL_LOG": "error", **(settings or {})}
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--storage", os.path.join(self.folder, "bucket")]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            found = re.search(r"listens on http://([\d.]+):(\d+)", line)
            if found:
                self.address = (found[1], int(found[2]))
                break
        else:
            sys.exit("the server did not start")
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        time.sleep(2.0)  # the host is measured once after the start

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def cpu(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, name):
        """VmRSS or VmHWM (the peak) in bytes."""
        text = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) * 1024

    def forget_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as file:
            file.write("5")


class Connection:
    """One kept connection."""

    def __init__(self, address):
        self.address = address
        self.socket = None

    def request(self, content):
        """Status, headers and body of the answer to a whole request."""
        if self.socket is None:
            self.socket = socket.create_connection(self.address, timeout=600)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.rest = b""
        try:
            self.socket.sendall(content)
        except OSError:
            pass  # refused before it was read: the answer is there
        while b"\r\n\r\n" not in self.rest:
            self.fill()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines[1:])
        length = int(headers.get(b"content-length", 0))
        while len(self.rest) < length:
            self.fill()
        body, self.rest = self.rest[:length], self.rest[length:]
        status = int(lines[0].split(b" ", 2)[1])
        if headers.get(b"connection") == b"close" or status in (408, 413):
            self.socket.close()
            self.socket = None
        return status, headers, body

    def fill(self):
        more = self.socket.recv(1 << 20)
        if not more:
            raise ConnectionError("the server closed the connection")
        self.rest += more


def request(method, path, body=b"", headers=()):
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", *headers]
    if body or method == "POST":
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def hammer(address, content, seconds, results):
    """One client: the same request again and again; how long each took, and the processor time of this client."""
    connection, times, wrong = Connection(address), [], 0
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        status, _, _ = connection.request(content)
        times.append(time.perf_counter() - begin)
        wrong += status != 200
    results.put((times, wrong, time.process_time()))


def measure(server, content, seconds):
    results = multiprocessing.Queue()
    before = server.cpu()
    clients = [
        multiprocessing.Process(target=hammer, args=(server.address, content, seconds, results)) for _ in range(CLIENTS)
    ]
    begin = time.perf_counter()
    for client in clients:
        client.start()
    found = [results.get() for _ in clients]
    for client in clients:
        client.join()
    wall = time.perf_counter() - begin
    times = sorted(t for times, _, _ in found for t in times)
    wrong = sum(wrong for _, wrong, _ in found)
    if wrong:
        sys.exit(f"{wrong} of {len(times)} answers were not 200")
    return {
        "rate": len(times) / seconds,
        "count": len(times),
        "p50": times[len(times) // 2] * 1e3,
        "p99": times[int(len(times) * 0.99)] * 1e3,
        "server_us": (server.cpu() - before) / len(times) * 1e6,
        "clients_cores": sum(cpu for _, _, cpu in found) / wall,
    }


def told(name, figures, unit):
    print(
        f"{name:<44} {figures['rate']:>8.0f} {unit}/s   median {figures['p50']:.2f} ms, p99 {figures['p99']:.2f} ms,"
        f" {figures['server_us']:.0f} us of the server's time each, clients {figures['clients_cores']:.2f} cores"
    )


def status(options):
    """GET /jobs/{id} of a finished job, beside the least that this server and these clients can do."""
    with Server(options.binary, UNLIMITED) as server:
        _, _, body = Connection(server.address).request(request("POST", "/process", b'{"data": [1, 2, 3, 4, 5]}'))
        job = json.loads(body)["job_id"]
        least = measure(server, request("GET", "/health/live"), options.seconds)
        told("GET /health/live (nothing but HTTP)", least, "requests")
        found = measure(server, request("GET", f"/jobs/{job}"), options.seconds)
        told("GET /jobs/{id}", found, "requests")
        print(f"{'':<44} {found['rate'] / least['rate']:.2f} of the rate of /health/live")


def jobs(options):
    """Whole jobs of five elements with everything stored, beside writing as many files."""
    for name, sync in (("not synced", "false"), ("synced before each answer, in groups", "true")):
        settings = {"CAUDAL__STORAGE__SYNC": sync}
        with Server(options.binary, {**UNLIMITED, **settings}) as server:
            content = request("POST", "/process", b'{"data": [1, 2, 3, 4, 5]}')
            measure(server, content, 1.0)
            found = measure(server, content, options.seconds)
            told(f"whole jobs of 5 elements, {name}", found, "jobs")
            bucket = os.path.join(server.folder, "bucket")
            files = sum(len(names) for _, _, names in os.walk(bucket))
            made = sum(len(os.listdir(os.path.join(bucket, "jobs", job))) > 0 for job in os.listdir(os.path.join(bucket, "jobs")))
            print(f"{'':<44} {files / made:.1f} objects are left of each")
            plain = files_per_second(server.folder, sync == "true")
            print(f"{'':<44} a plain loop writes {plain:.0f} files/s here, {'each synced' if sync == 'true' else 'none synced'}: {plain / found['rate']:.1f} files in the time of a job")


def files_per_second(folder, sync):
    place = os.path.join(folder, "plain")
    os.mkdir(place)
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < 2:
        with open(os.path.join(place, f"{count}.tmp"), "wb") as file:
            file.write(b"x" * 300)
            if sync:
                os.fsync(file.fileno())
        os.rename(os.path.join(place, f"{count}.tmp"), os.path.join(place, str(count)))
        count += 1
    return count / (time.perf_counter() - begin)


def numbers(seed):
    randoms = random.Random(seed)
    pool = [repr(randoms.gauss(0, 1)) for _ in range(1000)]
    return ('{"data": [' + ",".join(pool[i % 1000] for i in range(ELEMENTS)) + "]}").encode()


def memory(options):
    """The most memory of a whole job of one body, beside the body."""
    bodies = {"doubles": numbers(1), "small integers": ('{"data": [' + ",".join(str(i % 10) for i in range(ELEMENTS)) + "]}").encode()}
    for name, body in bodies.items():
        with Server(options.binary, UNLIMITED) as server:
            connection = Connection(server.address)
            connection.request(request("POST", "/process", b'{"data": [1, 2, 3, 4, 5]}'))
            server.forget_peak()
            before = server.memory("VmRSS")
            status, _, _ = connection.request(request("POST", "/process", body))
            if status not in (200, 202):
                sys.exit(f"the job was answered {status}")
            peak = server.memory("VmHWM") - before
            print(
                f"one job of {ELEMENTS} {name}: the body has {len(body) / 1e6:.1f} MB, and the server takes at most"
                f" {peak / 1e6:.0f} MB more than before: {peak / len(body):.1f} times the body"
            )


def crowd(options):
    """64 clients at once with a million elements each: everybody is answered, and memory stays below its cap."""
    body = request("POST", "/process", numbers(2), ["prefer: wait=25"])
    with Server(options.binary, UNLIMITED) as server:
        before = server.memory("VmRSS")
        answers, ids, lock = {}, set(), threading.Lock()

        def client():
            connection = Connection(server.address)
            while True:
                try:
                    status, _, content = connection.request(body)
                except (ConnectionError, OSError):
                    status, content, connection = "cut off", b"", Connection(server.address)
                with lock:
                    answers[status] = answers.get(status, 0) + 1
                    if status in (200, 202):
                        ids.add(json.loads(content)["job_id"])
                if status in (200, 202):
                    return
                time.sleep(1.0)

        begin = time.perf_counter()
        clients = [threading.Thread(target=client) for _ in range(CROWD)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        answered = time.perf_counter() - begin
        states = {}
        connection = Connection(server.address)
        for job in ids:
            while True:
                _, _, content = connection.request(request("GET", f"/jobs/{job}"))
                state = json.loads(content)["status"]
                if state in ("completed", "failed", "cancelled"):
                    states[state] = states.get(state, 0) + 1
                    break
                time.sleep(0.2)
        print(
            f"{CROWD} clients with {len(body) / 1e6:.1f} MB each: answers {answers}, all answered with a job after"
            f" {answered:.0f} s, {len(ids)} jobs: {states}, all ended after {time.perf_counter() - begin:.0f} s"
        )
        print(f"    at most {server.memory('VmHWM') / 1e6:.0f} MB of memory, {before / 1e6:.0f} MB before")
        if states != {"completed": CROWD}:
            sys.exit("not every job completed")


def malformed(options):
    """10,000 bodies that are no requests, from a seed: each is a 4xx with a problem."""
    randoms = random.Random(options.seed)
    good = [b'{"data": [1, 2.5, null]}', b'{"data": {"a": [1, 2], "b": [3, 4]}}', b'{"source": {"uri": "file:x.csv"}}']
    counts = {}
    with Server(options.binary, UNLIMITED) as server:
        connection = Connection(server.address)
        made = 0
        while made < 10_000:
            body = bytearray(randoms.choice(good))
            for _ in range(randoms.randint(1, 4)):
                at = randoms.randrange(len(body) + 1)
                kind = randoms.randrange(4)
                if kind == 0:
                    body[at:at + randoms.randint(1, 5)] = b""
                elif kind == 1:
                    body[at:at] = bytes(randoms.randrange(256) for _ in range(randoms.randint(1, 4)))
                elif kind == 2:
                    body[at:at] = randoms.choice([b"[", b"{", b'"', b",", b"1e999", b"NaN", b"null", b"\\u", b"]}", b"-"])
                else:
                    body = body[:at]
            if is_request(bytes(body)):
                continue
            made += 1
            status, headers, content = connection.request(request("POST", "/process", bytes(body)))
            counts[status] = counts.get(status, 0) + 1
            problem = headers.get(b"content-type") == b"application/problem+json" and json.loads(content)["status"] == status
            if not (400 <= status < 500 and problem):
                sys.exit(f"{bytes(body)!r} was answered {status}: {content!r}")
    print(f"10,000 malformed bodies (seed {options.seed}): {counts}, each a problem")


def is_request(body):
    """Whether this may be a job, so that it is not malformed."""
    try:
        value = json.loads(body.decode())
    except (UnicodeDecodeError, ValueError, RecursionError):
        return False
    if not isinstance(value, dict):
        return False
    return "source" in value or "data" in value


# Whoever limits how often one address may ask is not what is measured here.
UNLIMITED = {}

FIGURES = {"status": status, "jobs": jobs, "memory": memory, "crowd": crowd, "malformed": malformed}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=TARGET / "release" / "caudal")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", nargs="*", choices=FIGURES, default=list(FIGURES))
    options = parser.parse_args()
    for name in options.only:
        FIGURES[name](options)


if __name__ == "__main__":
    main()
