"""Wall clock, CPU clock, and what the rest of the machine used meanwhile; standard library only."""

import os
import pathlib
import resource
import sys
import time

STAT = pathlib.Path("/proc/stat")
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


def processors():
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def busy_seconds():
    """CPU seconds of the whole machine since it started, with what a hypervisor kept; None where not to be had."""
    if not STAT.exists():
        return None
    user, nice, system, _idle, _iowait, *rest = (int(word) for word in STAT.read_text().split(None, 11)[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def own_cpu_seconds():
    """CPU seconds of this process and of its children that have ended."""
    times = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in times)


def peak_bytes():
    """The most memory that this process had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT


def forget_peak():
    """Makes the peak count from now on, where the system can."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def timed(function, cpu_seconds=own_cpu_seconds):
    """What `function` returns, and the run: wall, cpu, and the CPU seconds of others meanwhile."""
    busy, cpu, wall = busy_seconds(), cpu_seconds(), time.perf_counter()
    result = function()
    run = {"wall": time.perf_counter() - wall, "cpu": cpu_seconds() - cpu}
    run["others"] = None if busy is None else max(0.0, busy_seconds() - busy - run["cpu"])
    return result, run


def summary(runs):
    """The best and the median of some runs, and the share of the machine that others took."""
    found = {}
    for name in ("wall", "cpu"):
        ordered = sorted(run[name] for run in runs)
        found |= {name: ordered[0], f"{name}_median": ordered[len(ordered) // 2]}
    known = [run for run in runs if run.get("others") is not None]
    wall = sum(run["wall"] for run in known)
    found["others"] = sum(run["others"] for run in known) / wall / processors() if wall > 0.05 else None
    return found
