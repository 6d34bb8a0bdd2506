"""A stand-in for EMR and EMR Serverless that runs real spark-submit. Loopback only.

Usage: python3 stands/fake_emr --port 0 --spark-submit PATH [--events URL] [--throttle 0.5] [--seed 1] …

It prints `listening on http://127.0.0.1:PORT`. Both services answer on that one address; the AWS SDKs find it through
AWS_ENDPOINT_URL_EMR and AWS_ENDPOINT_URL_EMR_SERVERLESS. Requests must be signed for the service that they are for;
signatures are not verified. States, errors and limits follow the services' API references.
"""

import argparse
import http.server
import json
import random
import re
import tempfile
import threading
import urllib.parse

from clusters import Clusters
from events import Events
from problems import Problem
from runs import Runner
from serverless import Applications


class Faults:
    """Seeded mishaps of the network and the service."""

    def __init__(self, seed, throttle, drop):
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.throttle, self.drop = throttle, drop

    def strikes(self, share):
        with self._lock:
            return self._random.random() < share


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            content = self._dispatch(json.loads(body or b"{}"))
            # Applied and not told: the client cannot know whether it was.
            if self.server.faults.strikes(self.server.faults.drop):
                self.close_connection = True
                return
            self._send(200, content)
        except Problem as problem:
            self._send(problem.status, {"__type": problem.kind, "message": problem.detail}, problem.kind)

    do_GET = do_POST = do_DELETE = do_PATCH = _answer

    def _dispatch(self, body):
        target = self.headers.get("X-Amz-Target", "")
        self._expect_signature("elasticmapreduce" if target else "emr-serverless")
        if self.server.faults.strikes(self.server.faults.throttle):
            raise Problem("ThrottlingException", "Rate exceeded", 400 if target else 429)
        with self.server.lock:
            if target:
                return self.server.clusters.call(target.rpartition(".")[2], body)
            path, _, query = self.path.partition("?")
            return self.server.applications.call(self.command, path, urllib.parse.parse_qs(query), body)

    def _expect_signature(self, service):
        scope = re.match(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/[^/]+/([^/]+)/aws4_request", self.headers.get("Authorization", ""))
        if not scope:
            raise Problem("MissingAuthenticationTokenException", "Request is missing Authentication Token", 403)
        if scope[1] != service:
            raise Problem("InvalidSignatureException", f"Credential should be scoped to correct service: '{service}'.", 403)

    def _send(self, status, content, error=None):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1" if "X-Amz-Target" in self.headers else "application/json")
        self.send_header("Content-Length", str(len(data)))
        if error:
            self.send_header("x-amzn-ErrorType", error)
        self.end_headers()
        self.wfile.write(data)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--spark-submit", required=True, help="what runs in place of spark-submit on the cluster")
    parser.add_argument("--work", help="folder for logs and events.jsonl; a temporary one when not given")
    parser.add_argument("--slots", type=int, default=1, help="spark-submits at the same time")
    parser.add_argument("--step-seconds", type=float, default=0.2, help="seconds between the states before RUNNING")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--throttle", type=float, default=0.0, help="share of calls answered with ThrottlingException")
    parser.add_argument("--drop", type=float, default=0.0, help="share of calls that are applied and never answered")
    parser.add_argument("--events", help="URL that state-change events are posted to")
    parser.add_argument("--lose", type=float, default=0.0, help="share of events that are lost")
    parser.add_argument("--double", type=float, default=0.0, help="share of events that are delivered twice")
    parser.add_argument("--spread", type=float, default=0.0, help="seconds by which deliveries are delayed at random, so that they come out of order")
    return parser.parse_args()


def main():
    asked = arguments()
    work = asked.work or tempfile.mkdtemp(prefix="fake-emr-")
    events = Events(work, asked.events, random.Random(asked.seed), asked.lose, asked.double, asked.spread)
    runner = Runner(work, asked.spark_submit, asked.slots)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", asked.port), Handler)
    server.daemon_threads = True
    server.lock = threading.RLock()
    server.faults = Faults(asked.seed, asked.throttle, asked.drop)
    server.clusters = Clusters(runner, events, server.lock, asked.step_seconds)
    server.applications = Applications(runner, events, server.lock, asked.step_seconds)
    print(f"listening on http://127.0.0.1:{server.server_port} with work in {work}", flush=True)
    try:
        server.serve_forever()
    finally:
        runner.stop()


if __name__ == "__main__":
    main()
