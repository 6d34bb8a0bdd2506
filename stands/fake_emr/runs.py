"""Runs spark-submit for both services: a bounded number at once, with a log file each."""

import os
import pathlib
import subprocess
import threading


class Runner:
    def __init__(self, work, spark_submit, slots):
        self.work = pathlib.Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self._spark_submit = spark_submit
        self._slots = threading.Semaphore(slots)
        self._processes = set()

    def run(self, name, arguments, cancelled, timeout=None):
        """The exit status of spark-submit with these arguments; None where `cancelled()` said so before its end.

        A run that takes longer than `timeout` seconds ends as one that failed.
        """
        with self._slots, open(self.work / f"{name}.log", "wb") as log:
            if cancelled():
                return None
            environment = dict(os.environ, SPARK_LOCAL_IP="127.0.0.1")
            process = subprocess.Popen([self._spark_submit, *arguments], stdout=log, stderr=subprocess.STDOUT, env=environment)
            self._processes.add(process)
            try:
                return self._wait(process, cancelled, timeout)
            finally:
                self._processes.discard(process)

    @staticmethod
    def _wait(process, cancelled, timeout):
        waited = 0.0
        while True:
            try:
                return process.wait(0.05)
            except subprocess.TimeoutExpired:
                waited += 0.05
            if cancelled() or (timeout and waited > timeout):
                process.kill()
                process.wait()
                return None if cancelled() else 1

    def stop(self):
        for process in list(self._processes):
            process.kill()
