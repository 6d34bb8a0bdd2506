"""Drives the real functions through the Lambda stand-in: whole jobs, events twice and late, kills, full houses, figures.

Usage: lambda_check.py FOLDER [--s3twin PROGRAM] [--driver FOLDER] [--figures]: the folder holds the binaries `authorizer`, `orchestrator`,
`gpu_processing` and `spark_launcher`; cold starts are also timed with the bucket on PROGRAM; `--figures` does nothing else.
"""

import argparse
import base64
import collections
import concurrent.futures
import hashlib
import io
import json
import pathlib
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "fake_lambda"))

import proxy  # noqa: E402
from function import Environment  # noqa: E402

def asked():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--s3twin")
    parser.add_argument("--driver", help="folder of an emulation of NVIDIA's driver")
    parser.add_argument("--figures", action="store_true")
    return parser.parse_known_args()[0]


ASKED = asked()
BINARIES = pathlib.Path(ASKED.folder).resolve()
SMALL = {"data": [1, 2, None, 4, 100], "pipeline_type": "both"}
LARGE = {"data": [(i * 2654435761) % 1000003 for i in range(200_000)], "pipeline_type": "both"}
COLD_STARTS = 20


def settings(folder):
    return {"CAUDAL__STORAGE__FOLDER": f"{folder}/bucket", "CAUDAL__FUNCTIONS__ORCHESTRATOR": "orchestrator",
            "CAUDAL__FUNCTIONS__GPU_PROCESSING": "gpu", "CAUDAL__FUNCTIONS__STAGE_SECONDS": "3", "CAUDAL__ORCHESTRATION__LEASE_SECONDS": "0.6", "LAMBDA_LOG": f"{folder}/log"}


class Stand:
    """All functions behind one address, with a bucket of their own."""

    def __init__(self, *options, orchestrator="timeout=30", gpu="timeout=30", spark=None, authorizer=None, gpu_program=None, variables=None, folder=None, port=0):
        self.folder = str(folder or tempfile.mkdtemp(prefix="caudal-lambda-"))
        functions = [f"orchestrator={BINARIES}/orchestrator,{orchestrator}", f"gpu={gpu_program or BINARIES / 'gpu_processing'},{gpu}", *filter(None, [spark, authorizer])]
        arguments = [a for f in functions for a in ("--function", f)] + ["--port", str(port)]
        arguments += [a for pair in (settings(self.folder) | (variables or {})).items() for a in ("--env", "=".join(pair))]
        self.process = subprocess.Popen([sys.executable, HERE / "fake_lambda", *arguments, *options], stdout=subprocess.PIPE, text=True)
        self.url = re.search(r"http://\S+", self.process.stdout.readline())[0]

    def call(self, method, path, body=None, headers=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def submit(self, body):
        status, answer = self.call("POST", "/process", body, {"Prefer": "respond-async"})
        assert status == 202, (status, answer)
        return answer["job_id"]

    def event(self, name, event):
        headers = {"X-Amz-Invocation-Type": "Event", "Authorization": "AWS4-HMAC-SHA256"}
        request = urllib.request.Request(f"{self.url}/2015-03-31/functions/{name}/invocations", json.dumps(event).encode(), headers)
        urllib.request.urlopen(request, timeout=10).read()

    def ended(self, job, seconds=90):
        begun = time.monotonic()
        while True:
            status, answer = self.call("GET", f"/jobs/{job}")
            if status == 200 and answer["status"] in ("completed", "failed", "cancelled"):
                return answer
            assert time.monotonic() - begun < seconds, (status, answer, self.process.poll())
            time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def whole_jobs():
    with Stand() as stand:
        status, answer = stand.call("POST", "/process", SMALL)
        assert status == 200 and answer["status"] == "completed" and answer["spark_processing"]["agreement"], answer
        log = json.loads(urllib.request.urlopen(f"{stand.url}/invocations").read())
        events = [entry["event"] for entry in log]
        assert sorted(map(sorted, events)) in ([["attempt", "job"], ["resume"]], [["attempt", "job"]]), events
        print("a job ran through the API, the orchestrator and gpu_processing; only ids travelled:", json.dumps(events))
        assert stand.call("POST", "/process", {"data": ["x"]})[0] == 422
        assert stand.call("GET", "/nowhere")[0] == 404


def the_function_has_the_card(driver):
    """The stage's function alone has a card: it, and not the orchestrator, chooses the device."""
    with tempfile.TemporaryDirectory() as folder:
        on_gpu = pathlib.Path(folder) / "gpu_processing"
        on_gpu.write_text(f"#!/bin/sh\nLD_LIBRARY_PATH={driver} exec {BINARIES}/gpu_processing\n")
        on_gpu.chmod(0o755)
        seen = {}
        for name, program in (("with", on_gpu), ("without", BINARIES / "gpu_processing")):
            with Stand(gpu_program=program) as stand:
                status, answer = stand.call("POST", "/process", LARGE | {"device": "gpu"})
                seen[name] = (status, answer.get("type", answer.get("gpu_processing", {}).get("gpu_used")))
                status, answer = stand.call("POST", "/process", SMALL)
                assert status == 200 and answer["gpu_processing"]["fallback_reason"], answer
    assert seen == {"with": (200, True), "without": (422, "/docs/errors/unavailable-engine")}, seen
    print("a card that the stage's function alone has did a job, by an emulation of its driver; without one it was told")


def events_twice_and_out_of_order():
    with Stand("--double", "0.5", "--spread", "0.5", "--seed", "3") as stand:
        jobs = [stand.submit(SMALL) for _ in range(10)]
        ends = [stand.ended(job) for job in jobs]
        assert all(end["status"] == "completed" for end in ends), ends
    print("10 jobs, half of the events twice, all late at random: 10 completed")


def killed_in_every_stage():
    """Each event's first attempt is killed at some moment; AWS's retries and the sweep carry the jobs on."""
    with Stand("--kill-within", "0.2", "--seed", "5", "--retry-seconds", "1", orchestrator="timeout=30,concurrency=20") as stand:
        jobs = [stand.submit(LARGE) for _ in range(16)]
        deadline = time.monotonic() + 120
        while unfinished := [j for j in jobs if not (pathlib.Path(stand.folder) / "bucket/jobs" / j / "job.json").exists()]:
            assert time.monotonic() < deadline, unfinished
            time.sleep(2)
            stand.event("orchestrator", {"sweep": True})
        ends = [stand.ended(job) for job in jobs]
        log = json.loads(urllib.request.urlopen(f"{stand.url}/invocations").read())
        killed = [entry for entry in log if entry["outcome"] == "timed out"]
        states = collections.Counter(end["status"] for end in ends)
        attempts = sum(end["attempts"] for end in ends)
        assert len(killed) >= 8 and set(states) == {"completed"}, (len(killed), states, [e.get("error") for e in ends])
    by = collections.Counter(entry["function"] for entry in killed)
    print(f"{len(killed)} invocations killed at random moments ({dict(by)}): {dict(states)} of 16 jobs, {attempts} attempts in all")


def full_houses():
    with Stand(orchestrator="timeout=30,concurrency=2") as stand:
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: stand.call("POST", "/process", LARGE, {"Prefer": "respond-async"}), range(12)))
        taken = [answer["job_id"] for status, answer in answers if status == 202]
        refused = sum(status == 429 for status, _ in answers)
        assert len(taken) + refused == 12 and refused and taken, answers
        for job in taken:
            deadline = time.monotonic() + 120
            while not pathlib.Path(stand.folder, "bucket", "jobs", job, "job.json").exists():
                assert time.monotonic() < deadline, job
                time.sleep(0.2)
    print(f"concurrency of 2: {len(taken)} of 12 requests taken and completed, {refused} answered 429")


def events_are_told_as_they_come():
    """An answer of a function arrives whole, so each tells what is new and ends; whoever follows comes back."""
    with Stand() as stand:
        job, told, answers = stand.submit(LARGE), [], 0
        while True:
            request = urllib.request.Request(f"{stand.url}/jobs/{job}/events", headers={"Last-Event-ID": str(len(told))})
            with urllib.request.urlopen(request, timeout=40) as answer:
                if answer.status == 204:
                    break
                told += re.findall(r'"state":"(\w+)"', answer.read().decode())
                answers += 1
        assert told[0] == "queued" and told[-1] == "completed" and len(told) == len(set(told)), told
    print(f"{len(told)} states of a job were told in {answers} answers, each once")


class Callers:
    """Keys in the stand's bucket, as `caudal keys create` writes them, and tokens of an issuer."""

    ISSUER = "https://issuer.example"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        openssl = lambda *arguments: subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder).stdout
        self._openssl = openssl
        openssl("genrsa", "-out", "issuer.pem", "2048")
        modulus = bytes.fromhex(openssl("rsa", "-in", "issuer.pem", "-noout", "-modulus").decode().strip().partition("=")[2])
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k", "n": self._encoded(modulus), "e": "AQAB"}
        (self.folder / "keys.json").write_text(json.dumps({"keys": [key]}))

    def variables(self):
        return {"CAUDAL__AUTH__REQUIRED": "always", "CAUDAL__AUTH__ISSUER": self.ISSUER, "CAUDAL__AUTH__AUDIENCES": "somebody,caudal",
                "CAUDAL__AUTH__JWKS": str(self.folder / "keys.json"), "CAUDAL__FUNCTIONS__SERVICE": "caudal"}

    @staticmethod
    def _encoded(content):
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    def token(self, **changes):
        claims = {"iss": self.ISSUER, "aud": "caudal", "sub": "ann", "scope": "submit read", "exp": int(time.time()) + 300} | changes
        signed = ".".join(self._encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "k"}, claims))
        (self.folder / "signed").write_text(signed)
        return signed + "." + self._encoded(self._openssl("dgst", "-sha256", "-sign", "issuer.pem", "signed"))

    def key(self, owner, **more):
        identity = secrets.token_hex(8)
        text = f"caudal_{identity}_{secrets.token_hex(32)}"
        self.write({"id": identity, "owner": owner, "scopes": ["submit", "read"], "digest": hashlib.sha256(text.encode()).hexdigest(),
                    "created_at": "2026-01-01T00:00:00Z", **more})
        return text

    def end(self, text):
        place = self._place(text.split("_")[1])
        self.write(json.loads(place.read_text()) | {"revoked_at": "2026-01-02T00:00:00Z"})

    def _place(self, identity):
        return self.folder / "bucket/access/keys" / f"{identity}.json"

    def write(self, key):
        place = self._place(key["id"])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(key))


def who_calls():
    """The authorizer is asked before the orchestrator, and calls are counted by the key of the plan that it names."""
    folder = tempfile.mkdtemp(prefix="caudal-lambda-")
    callers = Callers(folder)
    with Stand("--plan", "5,10", authorizer=f"authorizer={BINARIES}/authorizer,timeout=10,concurrency=30", variables=callers.variables(), folder=folder) as stand:
        key, token = callers.key("ann"), callers.token()
        bearer = lambda text: {"Authorization": f"Bearer {text}"}
        for headers in ({}, {"X-Api-Key": "x" * 40}, {"X-Api-Key": key[:-1] + ("1" if key[-1] == "0" else "0")}, bearer(callers.token(exp=int(time.time()) - 300)), bearer(callers.token(aud="another")),
                        bearer(token[:-8] + "AAAAAAAA"), {"X-Api-Key": key, **bearer(token)}):
            assert stand.call("GET", "/jobs", headers=headers)[0] == 401, headers
        for path in ("/health/live", "/openapi.json", "/docs/errors/internal"):
            with urllib.request.urlopen(stand.url + path) as answer:
                assert answer.status == 200
        status, answer = stand.call("POST", "/process", SMALL, bearer(token))
        assert status == 200 and answer["status"] == "completed", answer
        job = f"/jobs/{answer['job_id']}"
        assert stand.call("GET", job, headers={"X-Api-Key": key})[0] == 200, "a key of the same owner sees the same"
        assert stand.call("GET", job, headers=bearer(callers.token(sub="eve")))[0] == 404
        assert stand.call("POST", "/process", SMALL, bearer(callers.token(scope="read")))[0] == 403
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            states = list(pool.map(lambda _: stand.call("GET", "/jobs", headers={"X-Api-Key": key})[0], range(40)))
        assert set(states) == {200, 429} and states.count(200) >= 5, states
        assert stand.call("GET", "/jobs", headers=bearer(token))[0] == 200, "tokens are counted apart"
        callers.end(key)
        begun = time.monotonic()
        while (status := stand.call("GET", "/jobs", headers={"X-Api-Key": key})[0]) != 401:
            assert status in (200, 429) and time.monotonic() - begun < 10, status
            time.sleep(0.2)
    print(f"7 callers of whom nobody is known were told 401 before the orchestrator was asked; a key and a token ran jobs; of 40 calls at once "
          f"{states.count(429)} were told 429; a key that was ended was told 401 after {time.monotonic() - begun:.1f} s")


def figures(bucket, variables):
    health = proxy.event("GET", "/health/live", {}, b"")
    nothing = {"job": "01890a5d-ac96-774b-bcce-b302099a8057", "attempt": 1}
    look = {"attempt": {"job": nothing["job"], "number": 1}, "do": "look"}
    emr = {"CAUDAL__EMR__ON": "serverless", "CAUDAL__EMR__APPLICATION": "a", "CAUDAL__EMR__ROLE": "r"}
    call = {"type": "REQUEST", "methodArn": "m", "multiValueHeaders": {"X-Api-Key": [f"caudal_{'0' * 16}_{'0' * 64}"]}}
    for name, event in (("authorizer", call), ("orchestrator", health), ("gpu_processing", nothing), ("spark_launcher", look)):
        folder, times, polls, used, resident = tempfile.mkdtemp(prefix="caudal-lambda-"), [], [], [], []
        for _ in range(COLD_STARTS):
            environment = Environment(name, BINARIES / name, {k: v for k, v in settings(folder).items() if "FUNCTIONS" not in k} | emr | variables)
            outcome, answer = environment.invoke(event, 30)
            times.append((time.perf_counter() - environment.started) * 1e3)
            polls.append((environment.first_poll - environment.started) * 1e3)
            used.append(environment.processor_seconds() * 1e3)
            resident.append(environment.resident_kib() / 1024)
            environment.end()
            # The authorizer looks into the bucket for a key, which is not there.
            assert outcome == "done" or name == "authorizer" and json.loads(answer)["errorMessage"] == "Unauthorized", answer
        print(f"{name}, bucket {bucket}: start to first answer {statistics.median(times):.1f} ms median, {min(times):.1f} least, {max(times):.1f} most, of {COLD_STARTS} "
              f"(ready after {statistics.median(polls):.1f}); {statistics.median(used):.0f} ms of processor; resident {statistics.median(resident):.0f} MiB")


def sizes():
    for name in ("authorizer", "orchestrator", "gpu_processing", "spark_launcher"):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.write(BINARIES / name, "bootstrap")
        print(f"{name}: {(BINARIES / name).stat().st_size / 1e6:.1f} MB, zip {len(packed.getvalue()) / 1e6:.2f} MB")


def figures_on_s3(program):
    folder = tempfile.mkdtemp(prefix="caudal-lambda-s3-")
    twin = subprocess.Popen([program, "--root", folder, "--bucket", "caudal"], stdout=subprocess.PIPE, text=True)
    url = re.search(r"http://\S+", twin.stdout.readline())[0]
    figures("on S3", {"CAUDAL__STORAGE__BUCKET": "s3://caudal/b", "CAUDAL__STORAGE__S3_ALLOW_HTTP": "true", "AWS_ENDPOINT_URL": url,
                      "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testtest"})
    twin.terminate()


def main():
    if not ASKED.figures:
        whole_jobs()
        who_calls()
        if ASKED.driver:
            the_function_has_the_card(ASKED.driver)
        else:
            print("skipped: no emulation of NVIDIA's driver was given, so no function had a card")
        events_twice_and_out_of_order()
        events_are_told_as_they_come()
        full_houses()
        killed_in_every_stage()
    sizes()
    figures("a folder", {})
    if ASKED.s3twin:
        figures_on_s3(ASKED.s3twin)
    else:
        print("skipped: no S3 server was given, so cold starts were timed with a folder alone")


if __name__ == "__main__":
    main()
