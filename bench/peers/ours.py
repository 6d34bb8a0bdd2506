"""Measures Caudal: the command line from start to exit, and its kernels in memory through a Rust example."""

import json
import os
import pathlib
import shutil
import tempfile

from peers import clock, environment, process

ROOT = process.BENCH.parent
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "release"
BINARY = RELEASE / "caudal"
EXAMPLE = RELEASE / "examples" / "in_memory"
JSON_EXAMPLE = RELEASE / "examples" / "json_numbers"


def child_environment():
    return {name: value for name, value in environment.clean().items() if not name.startswith("CAUDAL__")}


def statistics_flag(level):
    """`--statistics LEVEL` where the command line knows it."""
    text, _ = process.run([BINARY, "process", "--help"], child_environment())
    return ["--statistics", level] if b"--statistics" in text else []


def parquet(source, level, repeats, scratch, check_zscores):
    """Profile, runs and peak of `caudal process`; each run stores into a new folder.

    `check_zscores` is told the folder with the last run's Parquet, and what it answers is kept.
    """
    flags = ["--pipeline", "rdd", "--normalize", "zscore", "--output-format", "parquet", "--format", "json",
             *statistics_flag(level)]
    runs = []
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        storage = pathlib.Path(folder) / "storage"
        for _ in range(repeats + 1):
            shutil.rmtree(storage, ignore_errors=True)
            command = [BINARY, "process", source, *flags, "--storage", storage]
            output, run = process.run(command, child_environment(), cwd=folder)
            runs.append(run)
        profile = json.loads(output)["spark_processing"]["rdd_results"]["columns"]["x"]
        checked = check_zscores(str(storage / "normalized_data"))
    return profile, checked | {"runs": runs[1:], "first": runs[0], "peak": max(run["peak"] for run in runs)}


def memory(raw, level, threads, repeats):
    """Profile, runs and peak of the kernels on an array in memory."""
    output, whole = process.run([EXAMPLE, raw, level, threads, repeats + 1], child_environment())
    runs = [json.loads(line) for line in output.splitlines() if line.strip()]
    profile = runs[-1].get("profile")
    kept = [{"wall": run["wall"], "cpu": run["cpu"]} for run in runs]
    busy = max(0.0, whole["others"] or 0.0) / whole["wall"]
    for run in kept:
        run["others"] = busy * run["wall"]
    found = {"runs": kept[1:], "first": kept[0], "peak": whole["peak"], "zscore_error": runs[-1].get("zscore_error")}
    return profile, found


def json_numbers(file, repeats):
    """Seconds of parsing and of printing an array of doubles, and whether both are right."""
    printed = file.with_suffix(".printed")
    output, whole = process.run([JSON_EXAMPLE, file, repeats + 1, printed], child_environment())
    runs = [json.loads(line) for line in output.splitlines()][1:]
    found = {}
    for name in ("parse", "print"):
        walls = sorted(run[name] for run in runs)
        found[name] = {"wall": walls[0], "wall_median": walls[len(walls) // 2]}
    right = json.loads(printed.read_text()) == json.loads(file.read_text())
    return found | {"right": right, "peak": whole["peak"], "bytes": file.stat().st_size}


def thread_counts():
    """1, 2, 4 and so on, and every processor."""
    most = clock.processors()
    return sorted({most, *(2**power for power in range(most.bit_length()) if 2**power <= most)})
