"""Runs child processes and tells what each one used; standard library only, so that this process stays small.

A child's peak resident size begins with its parent's on Linux, which is why nothing heavy is imported here.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import time

from peers import clock

BENCH = pathlib.Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A child that ended with an error; the text is the last line that it said."""


def whole(file):
    file.seek(0)
    return file.read()


def run(command, env, cwd=BENCH):
    """Standard output of a command, and the run: wall from start to exit, cpu, peak bytes, CPU seconds of others."""
    if not os.access(command[0], os.X_OK):
        raise Failed(f"not built: {command[0]}")
    busy, begun = clock.busy_seconds(), time.perf_counter()
    with tempfile.TemporaryFile() as output_file, tempfile.TemporaryFile() as complaint_file:
        child = subprocess.Popen([str(word) for word in command], stdout=output_file, stderr=complaint_file, env=env,
                                 cwd=cwd)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        output, complaint = (whole(file) for file in (output_file, complaint_file))
    if child.returncode != 0:
        lines = complaint.decode(errors="replace").strip().splitlines()
        raise Failed(f"failed: {lines[-1] if lines else 'no word'} (exit code {child.returncode})")
    cpu = used.ru_utime + used.ru_stime
    others = None if busy is None else max(0.0, clock.busy_seconds() - busy - cpu)
    return output, {"wall": wall, "cpu": cpu, "peak": used.ru_maxrss * clock.MAXRSS_UNIT, "others": others}


def ask(python, task, env, **words):
    """The answer of a task of peers/worker.py, run in a process of its own."""
    output, _ = run([python, "-m", "peers.worker", task, json.dumps(words)], env)
    return json.loads(output.splitlines()[-1])
