"""Processes of a test: started, found among others of this machine, and ended."""

import os
import pathlib
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait(what, until, seconds=120):
    """Waits until something holds."""
    for _ in range(seconds * 20):
        found = until()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError(what)


def parents():
    """The parent of every process, by their ids."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            if fields[0] != "Z":
                found[int(entry.name)] = int(fields[1])
    return found


def below(pid):
    """The processes that a process started, and those that they did."""
    known = parents()
    found = {pid}
    while True:
        more = {child for child, parent in known.items() if parent in found} - found
        if not more:
            return found - {pid}
        found |= more


def naming(text):
    """Processes whose command line holds a text."""
    found = []
    for pid in parents():
        try:
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and pid != os.getpid():
            found.append(pid)
    return found


def end(pid):
    """Ends a process and all that it started, at once."""
    for one in [pid, *below(pid)]:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Cluster:
    """A standalone cluster on loopback: one master, two workers of one core."""

    def __init__(self, spark, folder, memory="1500m"):
        self.spark, self.folder, self.running = spark, folder, []
        port = free_port()
        self.master = f"spark://127.0.0.1:{port}"
        # The address is told in full, so that nothing asks the network for this machine's name.
        self.environment = dict(os.environ, SPARK_HOME=spark, SPARK_LOCAL_IP="127.0.0.1")
        self.start("master", "master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(free_port()))
        wait("the master does not answer", lambda: self.answers(port))
        self.workers = [self.start(f"worker-{n}", "worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", memory,
                                   "--webui-port", str(free_port()), "--work-dir", str(folder / f"work-{n}"), self.master) for n in (1, 2)]
        for n in (1, 2):
            wait("a worker does not register", lambda: "Successfully registered" in (folder / f"worker-{n}.log").read_text())

    def start(self, name, daemon, *arguments):
        command = [f"{self.spark}/bin/spark-class", f"org.apache.spark.deploy.{daemon}", *arguments]
        log = open(self.folder / f"{name}.log", "w")
        process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(self.environment, SPARK_DAEMON_MEMORY="256m"))
        self.running.append(process)
        return process

    @staticmethod
    def answers(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.running:
            end(process.pid)
            process.wait()
