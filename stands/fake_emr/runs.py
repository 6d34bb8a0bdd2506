"""Runs spark-submit for both services: a bounded number at once, their output packed where logs go."""

import gzip
import os
import pathlib
import signal
import subprocess
import threading
import urllib.parse


class Runner:
    def __init__(self, work, spark_submit, slots):
        self.work = pathlib.Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self._spark_submit = spark_submit
        self._slots = threading.Semaphore(slots)
        self._processes = set()

    def run(self, name, arguments, cancelled, logs, timeout=None):
        """The exit status of spark-submit with these arguments; None where `cancelled()` said so before its end.

        A run that takes longer than `timeout` seconds ends as one that failed. Where `logs` is a file: URI, what it said is
        packed below that.
        """
        files = {kind: self.work / f"{name}.{kind}" for kind in ("stdout", "stderr")}
        with self._slots, open(files["stdout"], "wb") as out, open(files["stderr"], "wb") as err:
            if cancelled():
                return None
            environment = dict(os.environ, SPARK_LOCAL_IP="127.0.0.1")
            process = subprocess.Popen([self._spark_submit, *self._here(arguments)], stdout=out, stderr=err, env=environment, start_new_session=True)
            self._processes.add(process)
            try:
                return self._wait(process, cancelled, timeout)
            finally:
                self._processes.discard(process)
                self._pack(files, logs)

    @staticmethod
    def _here(arguments):
        """The cluster is this machine, and its YARN is a thread."""
        return ["--master", "local[1]", *arguments[4:]] if arguments[:4] == ["--master", "yarn", "--deploy-mode", "client"] else arguments

    @staticmethod
    def _pack(files, logs):
        if not logs.startswith("file:"):
            return
        folder = pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(logs).path))
        folder.mkdir(parents=True, exist_ok=True)
        for kind, file in files.items():
            (folder / f"{kind}.gz").write_bytes(gzip.compress(file.read_bytes()))

    @staticmethod
    def _end(process):
        """With everything that it has started."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

    def _wait(self, process, cancelled, timeout):
        waited = 0.0
        while True:
            try:
                return process.wait(0.05)
            except subprocess.TimeoutExpired:
                waited += 0.05
            if cancelled() or (timeout and waited > timeout):
                self._end(process)
                return None if cancelled() else 1

    def stop(self):
        for process in list(self._processes):
            self._end(process)
