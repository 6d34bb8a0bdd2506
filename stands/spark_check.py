"""Whole jobs on EMR and EMR Serverless through the real functions: events lost, doubled and shuffled; calls throttled; real Spark.

Usage: spark_check.py FOLDER CAUDAL [SPARK_SUBMIT]: the folder of the functions, the binary, and a real spark-submit.
"""

import collections
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

import lambda_check
from lambda_check import BINARIES, HERE, Stand

DOUBLE = HERE.parent / "crates/processing/spark/tests/double/spark-submit"
JOB = {"data": [1, 2, None, 4, 100], "pipeline_type": "both", "engine": "spark"}
JOBS = 100


class Emr:
    """The stand-in for both services, and one application and cluster on it."""

    def __init__(self, spark_submit, folder, *options, **environment):
        command = [sys.executable, HERE / "fake_emr", "--spark-submit", spark_submit, "--step-seconds", "0.02", "--work", folder, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ, **environment))
        self.url = re.search(r"http://\S+", self.process.stdout.readline())[0]

    def call(self, service, path, body, target=None):
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"}
        headers |= {"X-Amz-Target": f"ElasticMapReduce.{target}"} if target else {}
        while True:
            try:
                with urllib.request.urlopen(urllib.request.Request(self.url + path, json.dumps(body).encode(), headers), timeout=10) as answer:
                    return json.load(answer)
            except (urllib.error.HTTPError, OSError) as error:
                assert getattr(error, "code", 429) in (400, 429), error

    def application(self):
        return self.call("emr-serverless", "/applications", {"releaseLabel": "emr-6.15.0", "type": "SPARK", "clientToken": "a"})["applicationId"]

    def cluster(self, logs):
        body = {"Name": "c", "LogUri": logs, "StepConcurrencyLevel": 8, "Instances": {"KeepJobFlowAliveWhenNoSteps": True}}
        return self.call("elasticmapreduce", "/", body, "RunJobFlow")["JobFlowId"]

    def steps(self, cluster):
        found, marker = [], {}
        while True:
            page = self.call("elasticmapreduce", "/", {"ClusterId": cluster, **marker}, "ListSteps")
            found += page["Steps"]
            if "Marker" not in page:
                return [step["Name"] for step in found]
            marker = {"Marker": page["Marker"]}


def spark_stand(on, emr, options, events):
    """The functions, told of the service; events go to them by way of a relay, since each is started before the other."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="caudal-spark-"))
    logs = f"file://{folder}/bucket/logs/spark/"
    place = {"CAUDAL__EMR__APPLICATION": emr.application(), "CAUDAL__EMR__ROLE": "arn:aws:iam::123456789012:role/r"} if on == "serverless" else {"CAUDAL__EMR__CLUSTER": emr.cluster(logs)}
    variables = {"CAUDAL__EMR__ON": on, "CAUDAL__EMR__LOG_SECONDS": "20", "CAUDAL__EMR__INTENT_SECONDS": "3", "CAUDAL__FUNCTIONS__SPARK_LAUNCHER": "spark",
                 "AWS_ENDPOINT_URL_EMR": emr.url, "AWS_ENDPOINT_URL_EMR_SERVERLESS": emr.url, **place}
    stand = Stand(*options, folder=folder, spark=f"spark={BINARIES}/spark_launcher,timeout=60,concurrency=20", variables=variables, port=events,
                  orchestrator="timeout=60,concurrency=20")
    return stand, place.get("CAUDAL__EMR__CLUSTER")


def free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def swept_to_the_end(stand, jobs, seconds):
    begun = time.monotonic()
    while unfinished := [j for j in jobs if not (pathlib.Path(stand.folder) / "bucket/jobs" / j / "job.json").exists()]:
        assert time.monotonic() - begun < seconds, (len(unfinished), unfinished[:3])
        time.sleep(1)
        stand.event("orchestrator", {"sweep": True})
    return [stand.ended(job) for job in jobs]


def submitted(stand):
    """As a client that comes back when it is told that all places are taken."""
    while (answer := stand.call("POST", "/process", JOB, {"Prefer": "respond-async"}))[0] == 429:
        time.sleep(0.5)
    assert answer[0] == 202, answer
    return answer[1]["job_id"]


def a_hundred_jobs(on, caudal):
    port = free_port()
    work = tempfile.mkdtemp(prefix="fake-emr-")
    emr = Emr(DOUBLE, work, "--slots", "4", "--throttle", "0.5", "--drop", "0.1", "--lose", "0.1", "--double", "0.3", "--spread", "1", "--seed", "11",
              "--events", f"http://127.0.0.1:{port}/events", CAUDAL_DOUBLE="by-id", CAUDAL_DOUBLE_BINARY=caudal, CAUDAL_DOUBLE_STARTS=f"{work}/starts")
    stand, cluster = spark_stand(on, emr, [], port)
    with stand:
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            jobs = list(pool.map(lambda _: submitted(stand), range(JOBS)))
        ends = swept_to_the_end(stand, jobs, 240)
        seconds = time.monotonic() - begun
        expected = ["failed" if job[-1] in "0123" else "completed" for job in jobs]
        wrong = [(end, job) for end, job, state in zip(ends, jobs, expected) if end["status"] != state]
        assert not wrong, wrong[:3]
        told = {end["error"]["detail"] for end in ends if end["status"] == "failed"}
        assert told == {"row 3, column x: expected a number, found \"abc\""}, told
        starts = len(pathlib.Path(work, "starts").read_text().splitlines())
        assert starts == JOBS, f"{starts} starts of {JOBS} jobs"
        if cluster:
            assert len(emr.steps(cluster)) == len(set(emr.steps(cluster))) == JOBS
        events = [json.loads(line) for line in pathlib.Path(work, "events.jsonl").read_text().splitlines()]
        finals = [e for e in events if e["detail"]["state"] in ("COMPLETED", "SUCCESS", "FAILED")]
        lost = sum(e["deliveries"] == 0 for e in finals)
        log = json.loads(urllib.request.urlopen(f"{stand.url}/invocations").read())
        longest = max(entry["seconds"] for entry in log)
    emr.process.terminate()
    print(f"{on}: {JOBS} jobs, half of the calls throttled, a tenth of the replies and {lost} of {len(finals)} last events lost, others doubled and shuffled: "
          f"0 wrong final states ({dict(collections.Counter(expected))}), each started once; {seconds:.0f} s; longest invocation {longest:.1f} s")


def nobody_waits(on, caudal):
    """While an application runs, no function does."""
    port, work = free_port(), tempfile.mkdtemp(prefix="fake-emr-")
    slow = pathlib.Path(work, "slow")
    slow.write_text(f'#!/bin/sh\nsleep 6\nexec {DOUBLE} "$@"\n')
    slow.chmod(0o755)
    emr = Emr(slow, work, "--events", f"http://127.0.0.1:{port}/events", CAUDAL_DOUBLE_BINARY=caudal)
    stand, _ = spark_stand(on, emr, [], port)
    with stand:
        job = stand.submit(JOB)
        time.sleep(3)
        stand.event("orchestrator", {"sweep": True})
        time.sleep(1)
        assert stand.call("GET", f"/jobs/{job}")[1]["status"] == "spark_processing"
        busy = json.loads(urllib.request.urlopen(f"{stand.url}/busy").read())
        assert busy == {"orchestrator": 0, "gpu": 0, "spark": 0}, busy
        end = stand.ended(job)
        assert end["status"] == "completed", end
        # An invocation is told of once it is over, a moment after the job's end is seen.
        until = time.time() + 15
        while not any("detail" in entry["event"] for entry in json.loads(urllib.request.urlopen(f"{stand.url}/invocations").read())):
            assert time.time() < until, "the state change took the job up"
            time.sleep(0.2)
    emr.process.terminate()
    print(f"{on}: while Spark ran no function did; the state change took the job up ({end['attempts']} attempts)")


def cancelled_while_it_waits(on, caudal):
    """Nobody carries the job when it is cancelled: its application ends all the same."""
    port, work = free_port(), tempfile.mkdtemp(prefix="fake-emr-")
    slow = pathlib.Path(work, "slow")
    slow.write_text("#!/bin/sh\nsleep 120\n")
    slow.chmod(0o755)
    emr = Emr(slow, work, "--throttle", "0.5", "--seed", "3", "--events", f"http://127.0.0.1:{port}/events", CAUDAL_DOUBLE_BINARY=caudal)
    states = lambda: [event["detail"]["state"] for event in map(json.loads, pathlib.Path(work, "events.jsonl").read_text().splitlines())]
    stand, _ = spark_stand(on, emr, [], port)
    with stand:
        job = stand.submit(JOB)
        until(lambda: pathlib.Path(work, "events.jsonl").exists() and "RUNNING" in states(), 30)
        until(lambda: not any(json.loads(urllib.request.urlopen(f"{stand.url}/busy").read()).values()), 30)
        begun = time.monotonic()
        status, answer = stand.call("DELETE", f"/jobs/{job}")
        assert (status, answer["status"]) == (202, "cancelled"), (status, answer)
        until(lambda: "CANCELLED" in states(), 30)
        seconds = time.monotonic() - begun
        until(lambda: not pathlib.Path(stand.folder, "bucket/active", job).exists(), 30)
        assert stand.ended(job)["status"] == "cancelled"
    emr.process.terminate()
    print(f"{on}: a job that only waited for Spark was cancelled, and its application with it after {seconds:.1f} s")


def until(holds, seconds):
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < seconds, "it did not come to that"
        time.sleep(0.1)


def real_spark(on, spark_submit):
    port, work = free_port(), tempfile.mkdtemp(prefix="fake-emr-")
    emr = Emr(spark_submit, work, "--events", f"http://127.0.0.1:{port}/events", SPARK_HOME=str(pathlib.Path(spark_submit).parent.parent), PYSPARK_PYTHON=sys.executable)
    stand, _ = spark_stand(on, emr, [], port)
    with stand:
        job = stand.submit(dict(JOB, data=[(i * 2654435761) % 1000003 for i in range(50_000)]))
        end = stand.ended(job, 180)
        assert end["status"] == "completed", end
        answer = stand.call("GET", f"/jobs/{job}/result")[1]
        spark = answer["spark_processing"]
        assert spark["agreement"], spark
        bill = spark["spark"].get("bill")
        assert (bill is not None) == (on == "serverless"), bill
        assert any(pathlib.Path(stand.folder, "bucket/logs/spark", job).rglob("driver.log")), "the driver's log is kept"
    emr.process.terminate()
    print(f"{on}: a whole job on Spark {spark['spark']['version']} through real spark-submit; both pipelines agree; bill {bill}")


def main():
    caudal = str(pathlib.Path(sys.argv[2]).resolve())
    spark_submit = sys.argv[3] if len(sys.argv) > 3 else None
    for on in ("serverless", "steps"):
        nobody_waits(on, caudal)
        cancelled_while_it_waits(on, caudal)
        a_hundred_jobs(on, caudal)
        if spark_submit:
            real_spark(on, spark_submit)
        else:
            print("skipped: no spark-submit was given, so no real Spark ran")


if __name__ == "__main__":
    main()
