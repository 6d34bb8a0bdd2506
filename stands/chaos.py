"""Kills servers again and again while jobs run, and checks that none is lost, doubled or out of order.

    python3 stands/chaos.py --binary target/release/caudal --jobs 500
    python3 stands/chaos.py --binary … --s3twin … --faults slow=0.05,dropped_after=0.02 --jobs 100

Two servers share one bucket: a folder, or a server that speaks S3 with faults. At random moments one of them is killed with
SIGKILL and started again. Standard library only; `--seed` repeats the same draws. Ends with 1 where a promise was broken.
"""

import argparse
import concurrent.futures
import datetime
import http.client
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

LEGAL = ["queued", "validating", "normalizing", "spark_processing", "analyzing", "completed"]


class Server:
    """A `caudal serve` that can be killed and started again; each start is another instance."""

    def __init__(self, binary, storage, root, environment):
        self.command = [binary, "serve", "--listen", "127.0.0.1:0", "--storage", storage]
        self.root, self.environment = root, environment
        self.process, self.port, self.writer = None, None, None

    def start(self):
        before = self.instances()
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True, env=self.environment)
        for line in self.process.stderr:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                break
        else:
            return False
        threading.Thread(target=lambda p=self.process: [None for _ in p.stderr], daemon=True).start()
        new = self.instances() - before
        self.writer = new.pop() if len(new) == 1 else None
        return True

    def instances(self):
        folder = self.root / "instances"
        names = os.listdir(folder) if folder.is_dir() else []
        return {name.removesuffix(".json") for name in names if name.endswith(".json") and not name.startswith(".")}

    def kill(self):
        self.port = None
        self.process.send_signal(signal.SIGKILL)
        at = time.time()
        self.process.wait()
        return at

    def request(self, method, path, body=None, headers={}, timeout=40):
        port = self.port
        if port is None:
            raise ConnectionError("it is down")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()


class Run:
    def __init__(self, options, servers, chance):
        self.options, self.servers, self.chance = options, servers, chance
        self.lock = threading.Lock()
        self.promised, self.answers, self.refused = {}, {}, 0
        self.killed_at, self.deaths, self.over = {}, 0, threading.Event()

    def client(self, number):
        """Asks until a job is promised: an answer that never came promises nothing."""
        with self.lock:
            length, at_once = self.chance.choice([5, 5, 2_000, 60_000]), self.chance.random() < 0.5
        # Sums are whole, so that a result is right or wrong.
        body = json.dumps({"data": [(i * 7 + number) % 1000 for i in range(length)], "pipeline_type": "both"})
        headers = {"Prefer": "respond-async"} if at_once else {}
        while True:
            with self.lock:
                server = self.chance.choice(self.servers)
            try:
                status, answer = server.request("POST", "/process", body, headers)
            except (OSError, http.client.HTTPException, ValueError):
                status, answer = None, None
            if status in (200, 202):
                expected = sum((i * 7 + number) % 1000 for i in range(length))
                with self.lock:
                    self.promised[answer["job_id"]] = expected
                    if status == 200:
                        self.answers[answer["job_id"]] = answer
                return
            with self.lock:
                self.refused += status is not None
                pause = self.chance.uniform(0.05, 0.4)
            time.sleep(pause)

    def reaper(self):
        while True:
            with self.lock:
                pause, server = self.chance.uniform(0.3, self.options.kill_every), self.chance.choice(self.servers)
                down = self.chance.uniform(0.05, 1.5)
            if self.over.wait(pause):
                return
            if server.port is None:
                continue
            writer = server.writer
            at = server.kill()
            self.deaths += 1
            if writer:
                self.killed_at[writer] = at
            time.sleep(down)
            while not server.start():
                time.sleep(0.2)

    def end_of(self, job):
        """The final state of a job, from whichever server answers."""
        until = time.time() + self.options.patience
        while time.time() < until:
            for server in self.servers:
                try:
                    status, answer = server.request("GET", f"/jobs/{job}")
                    if status == 200 and answer["status"] in ("completed", "failed", "cancelled"):
                        return answer, server.request("GET", f"/jobs/{job}/result")[1]
                    if status == 404:
                        return None, None
                except (OSError, http.client.HTTPException, ValueError):
                    pass
            time.sleep(0.2)
        return {"status": "unfinished", "transitions": [], "attempt_history": []}, None


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def check(run):
    lost, failed, doubled, disordered, wrong, takeovers = [], [], [], [], [], []
    for job, expected in run.promised.items():
        status, result = run.end_of(job)
        if status is None or status["status"] == "unfinished":
            lost.append(job)
            continue
        if status["status"] != "completed":
            failed.append((job, status.get("error")))
            continue
        states = [transition["state"] for transition in status["transitions"]]
        times = [transition["at"] for transition in status["transitions"]]
        if states.count("completed") != 1:
            doubled.append(job)
        if states != LEGAL or times != sorted(times):
            disordered.append((job, states))
        column = result["spark_processing"]["rdd_results"]["columns"]["value"]
        if column["sum"] != expected or not result["spark_processing"]["agreement"]:
            wrong.append(job)
        if job in run.answers and run.answers[job] != result:
            doubled.append(job)
        history = status["attempt_history"]
        for before, after in zip(history, history[1:]):
            if after["cause"] == "abandoned" and before["writer"] in run.killed_at:
                # Whoever was about to take over may have been killed too: the last death before it counts.
                begun = seconds(after["at"])
                deaths = [at for at in run.killed_at.values() if run.killed_at[before["writer"]] <= at <= begun]
                takeovers.append(begun - max(deaths, default=run.killed_at[before["writer"]]))
    print(f"{len(run.promised)} jobs promised, {len(run.answers)} of them answered at once; {run.deaths} times kill -9, "
          f"{run.refused} requests refused")
    print(f"lost {len(lost)}, failed {len(failed)}, doubled results {len(doubled)}, journals out of order "
          f"{len(disordered)}, wrong results {len(wrong)}")
    if takeovers:
        takeovers.sort()
        print(f"{len(takeovers)} take-overs in the middle of work: median {takeovers[len(takeovers) // 2]:.2f} s, worst "
              f"{takeovers[-1]:.2f} s, with a lease of {run.options.lease} s")
    else:
        print("no take-over in the middle of work was met")
    for name, found in (("lost", lost), ("failed", failed), ("doubled", doubled), ("disordered", disordered), ("wrong", wrong)):
        for one in found[:5]:
            print(f"  {name}: {one}")
    late = takeovers and takeovers[-1] > 2 * run.options.lease
    if late:
        print("a take-over took longer than two leases")
    return not (lost or failed or doubled or disordered or wrong or late)


def s3twin(options, root):
    command = [options.s3twin, "--root", str(root), "--bucket", "caudal", "--seed", str(options.seed)]
    if options.faults:
        command += ["--faults", options.faults]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    endpoint = re.search(r"listens on (\S+)", process.stdout.readline()).group(1)
    return process, endpoint


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--lease", type=float, default=2.0)
    parser.add_argument("--kill-every", type=float, default=2.5, help="the longest time between two kills")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--patience", type=float, default=120.0, help="seconds that a promised job may take to end")
    parser.add_argument("--s3twin", help="the server of stands/s3twin: the bucket is on S3 then")
    parser.add_argument("--faults", default="")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    environment = {**os.environ, "CAUDAL__ORCHESTRATION__LEASE_SECONDS": str(options.lease), "CAUDAL_LOG": "error"}
    with tempfile.TemporaryDirectory() as scratch:
        twin, storage, root = None, os.path.join(scratch, "bucket"), pathlib.Path(scratch, "bucket")
        if options.s3twin:
            twin, endpoint = s3twin(options, pathlib.Path(scratch, "s3"))
            storage, root = "s3://caudal/chaos", pathlib.Path(scratch, "s3", "caudal", "chaos")
            environment |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testtest", "AWS_REGION": "us-east-1",
                            "AWS_ENDPOINT_URL": endpoint, "CAUDAL__STORAGE__S3_ALLOW_HTTP": "true"}
        servers = [Server(options.binary, storage, root, environment) for _ in range(2)]
        for server in servers:
            while not server.start():
                time.sleep(0.2)
        run = Run(options, servers, chance)
        begun = time.time()
        try:
            reaper = threading.Thread(target=run.reaper)
            reaper.start()
            with concurrent.futures.ThreadPoolExecutor(options.clients) as pool:
                list(pool.map(run.client, range(options.jobs)))
            run.over.set()
            reaper.join()
            kept = check(run)
            print(f"{time.time() - begun:.0f} s")
        finally:
            run.over.set()
            for server in servers:
                if server.process and server.process.poll() is None:
                    server.process.kill()
            if twin:
                twin.kill()
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
