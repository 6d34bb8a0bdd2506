"""A stand-in for AWS Lambda behind API Gateway that runs real `bootstrap` binaries. Loopback only.

Usage: python3 stands/fake_lambda --function NAME=PATH[,timeout=S][,concurrency=N] … [--env NAME=VALUE] …

Functions run frozen between invocations, are killed at their time-out, and are called again when an asynchronous event
failed, as on AWS. One address answers Lambda's Invoke, takes EMR's state changes at /events as EventBridge would, and is for every other path
a REST API whose proxy is the function `orchestrator`, after it has asked the function `authorizer` where there is one. It prints `listening on http://127.0.0.1:PORT`.
"""

import argparse
import http.server
import json
import random
import threading
import time

import proxy
from function import Function, Throttled


class Lambda:
    """All functions, and the queue of events that nobody waits for."""

    def __init__(self, asked):
        self.functions, self.log = {}, []
        self.plan = proxy.Plan(*map(float, asked.plan.split(","))) if asked.plan else None
        self._random, self._lock = random.Random(asked.seed), threading.Lock()
        self._double, self._spread, self._retry, self._kill = asked.double, asked.spread, asked.retry_seconds, asked.kill_within

    def take_event(self, name, event):
        """An asynchronous invocation: maybe twice, maybe late, and up to three times where it fails."""
        with self._lock:
            copies = 2 if self._random.random() < self._double else 1
            delays = [self._random.random() * self._spread for _ in range(copies)]
        for delay in delays:
            threading.Thread(target=self._work, args=[name, event, delay], daemon=True).start()

    def take_state_change(self, event):
        """EventBridge, with the template's two rules."""
        detail = event["detail"]
        ended = detail["state"] in ("COMPLETED", "SUCCESS", "FAILED", "CANCELLED", "INTERRUPTED")
        if ended and (detail.get("name") or detail.get("jobRunName", "")).startswith("caudal-"):
            self.take_event("orchestrator", event)

    def _work(self, name, event, delay):
        time.sleep(delay)
        for attempt in range(3):
            begun = time.monotonic()
            outcome = self._once(name, event, self._random.random() * self._kill if self._kill and attempt == 0 else None)
            with self._lock:
                self.log.append({"function": name, "event": event, "attempt": attempt, "outcome": outcome, "seconds": time.monotonic() - begun})
            if outcome == "done":
                return
            time.sleep(self._retry)

    def _once(self, name, event, timeout):
        while True:
            try:
                return self.functions[name].invoke(event, timeout)[0]
            except Throttled:
                # The queue of a function waits for a place, for hours if need be.
                time.sleep(0.05)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        service = self.server.service
        if self.path == "/invocations":
            return self.send(200, json.dumps(service.log).encode())
        if self.path == "/busy":
            return self.send(200, json.dumps({name: made.busy for name, made in service.functions.items()}).encode())
        if self.path == "/events":
            self.send(200, b"{}")
            return service.take_state_change(json.loads(body))
        if self.path.startswith("/2015-03-31/functions/"):
            return self._invoke(self.path.split("/")[3], body)
        call = (self.command, self.path, self.headers, body)
        authorizer = service.functions.get("authorizer")
        turned_away = authorizer and proxy.turned_away(authorizer, service.plan, *call)
        self.send(*(turned_away or proxy.answer(service.functions["orchestrator"], *call)))

    do_GET = do_POST = do_DELETE = do_OPTIONS = do_PUT = _answer

    def _invoke(self, name, body):
        service = self.server.service
        if "AWS4-HMAC-SHA256" not in self.headers.get("Authorization", ""):
            return self.send(403, b'{"Message":"Missing Authentication Token"}')
        if name not in service.functions:
            return self.send(404, b'{"Message":"Function not found"}')
        if self.headers.get("X-Amz-Invocation-Type") == "Event":
            service.take_event(name, json.loads(body))
            return self.send(202, b"")
        try:
            outcome, answer = service.functions[name].invoke(json.loads(body))
        except Throttled:
            return self.send(429, b'{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"}')
        self.send(200, answer, {} if outcome == "done" else {"X-Amz-Function-Error": "Unhandled"})

    def send(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def function(text, environment, endpoint):
    name, _, rest = text.partition("=")
    path, *options = rest.split(",")
    options = dict(option.split("=") for option in options)
    return Function(name, path, float(options.get("timeout", 30)), int(options.get("concurrency", 10)),
                    dict(environment, AWS_ENDPOINT_URL_LAMBDA=endpoint))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--function", action="append", required=True)
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--double", type=float, default=0.0, help="share of asynchronous events that come twice")
    parser.add_argument("--spread", type=float, default=0.0, help="seconds by which they are late at random")
    parser.add_argument("--plan", help="RATE,BURST of each key that the authorizer names; none without it")
    parser.add_argument("--retry-seconds", type=float, default=0.5, help="pause before a failed event is tried again")
    parser.add_argument("--kill-within", type=float, default=0.0, help="seconds within which, at random, each event's first attempt is killed")
    asked = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", asked.port), Handler)
    server.daemon_threads, server.service = True, Lambda(asked)
    endpoint = f"http://127.0.0.1:{server.server_port}"
    environment = dict(pair.split("=", 1) for pair in asked.env)
    for text in asked.function:
        made = function(text, environment, endpoint)
        server.service.functions[made.name] = made
    print(f"listening on {endpoint}", flush=True)
    try:
        server.serve_forever()
    finally:
        for made in server.service.functions.values():
            made.stop()


if __name__ == "__main__":
    main()
