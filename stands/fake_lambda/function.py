"""A function: its execution environments, each a process with a Runtime API of its own, frozen between invocations."""

import http.server
import json
import os
import queue
import signal
import subprocess
import threading
import time
import uuid

MEMORY_MB = 1024


class Throttled(Exception):
    """All places of a function are taken."""


class RuntimeApi(http.server.BaseHTTPRequestHandler):
    """What a bootstrap polls for invocations and answers to."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            # The process was killed while it polled.
            pass

    def do_GET(self):
        environment = self.server.environment
        environment.first_poll = environment.first_poll or time.perf_counter()
        identity, event, deadline = environment.events.get()
        headers = {"Lambda-Runtime-Aws-Request-Id": identity, "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
                   "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:us-east-1:123456789012:function:{environment.name}"}
        self._send(200, json.dumps(event).encode(), headers)

    def do_POST(self):
        body = self._body()
        self._send(202, b'{"status":"OK"}', {})
        outcome = "error" if self.path.endswith("/error") else "done"
        self.server.environment.answers.put((outcome, body))

    def _body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Environment:
    """One process. `started` and `first_poll` are read from the performance counter."""

    def __init__(self, name, bootstrap, variables):
        self.name, self.events, self.answers, self.first_poll = name, queue.Queue(), queue.Queue(), None
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
        self._server.daemon_threads, self._server.environment = True, self
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        variables = dict(
            PATH=os.environ["PATH"], AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{self._server.server_port}", AWS_LAMBDA_FUNCTION_NAME=name,
            AWS_LAMBDA_FUNCTION_MEMORY_SIZE=str(MEMORY_MB), AWS_LAMBDA_FUNCTION_VERSION="1", AWS_LAMBDA_LOG_GROUP_NAME=f"/aws/lambda/{name}",
            AWS_LAMBDA_LOG_STREAM_NAME="stream", AWS_REGION="us-east-1", AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test",
            AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH="true",
        ) | variables
        log = open(variables["LAMBDA_LOG"], "ab") if "LAMBDA_LOG" in variables else subprocess.DEVNULL
        self.started = time.perf_counter()
        self.process = subprocess.Popen([bootstrap], env=variables, stdout=log, stderr=log)

    def invoke(self, event, timeout):
        """The outcome and answer of one invocation; the process is frozen after it, or killed at the time-out."""
        self.process.send_signal(signal.SIGCONT)
        self.events.put((str(uuid.uuid4()), event, time.time() + timeout))
        begun = time.monotonic()
        while time.monotonic() - begun < timeout:
            try:
                answer = self.answers.get(timeout=0.005)
                self.process.send_signal(signal.SIGSTOP)
                return answer
            except queue.Empty:
                if self.process.poll() is not None:
                    return "crashed", b'{"errorType":"Runtime.ExitError"}'
        self.end()
        return "timed out", json.dumps({"errorMessage": f"Task timed out after {timeout:.2f} seconds"}).encode()

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1])

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def alive(self):
        return self.process.poll() is None

    def end(self):
        self.process.kill()
        self.process.wait()
        self._server.shutdown()
        self._server.server_close()


class Function:
    def __init__(self, name, bootstrap, timeout, concurrency, variables):
        self.name, self.timeout = name, timeout
        self._bootstrap, self._variables = bootstrap, variables
        self.busy = 0
        self._places, self._idle, self._lock = threading.Semaphore(concurrency), [], threading.Lock()

    def invoke(self, event, timeout=None):
        """Raises `Throttled` where all places are taken."""
        if not self._places.acquire(blocking=False):
            raise Throttled
        try:
            with self._lock:
                self.busy += 1
                environment = self._idle.pop() if self._idle else None
            environment = environment or Environment(self.name, self._bootstrap, self._variables)
            answer = environment.invoke(event, timeout or self.timeout)
            if environment.alive():
                with self._lock:
                    self._idle.append(environment)
            return answer
        finally:
            with self._lock:
                self.busy -= 1
            self._places.release()

    def stop(self):
        for environment in self._idle:
            environment.end()
