#!/usr/bin/env python3
"""The job against the embedded engine: `spark/test/job.py --spark HOME --caudal BINARY [--seed N] [--only NAMES]`.

Every case goes through both pipelines of the jar, text in pieces of several sizes, all in one session of Spark; statistics, faults
with their places, and the normalised data must be what `caudal process --engine embedded` answers.
"""

import argparse
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import cases
import compare

ROOM = pathlib.Path(__file__).resolve().parents[1]
# Without `distinct` the pipelines look for the mode in another way.
CORE_TOO = ["random", "fixtures"]


def builder():
    loader = importlib.machinery.SourceFileLoader("build", str(ROOM / "build"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("build", loader))
    loader.exec_module(module)
    return module


def embedded(binary, case, source, folder):
    """The embedded engine's answer, or what it says against the data."""
    command = [binary, "process", str(source), "--engine", "embedded", "--pipeline", "rdd", "--format", "json", "--storage", str(folder)]
    command += ["--normalize", case.normalization, "--output-format", "json", "--input-format", case.form]
    for column in case.columns or []:
        command += ["--column", column]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        answer = json.loads(done.stdout)
        data = folder / "normalized_data" / answer["job_id"] / "data.json"
        return answer, json.loads(data.read_text()) if data.exists() else None
    return done.stderr, None


def submissions(all_cases, folder):
    """A document for each case and size of pieces."""
    for case in all_cases:
        source = case.write(folder / "sources")
        files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file() and p.name[0] not in "._")
        runs = [(f"{case.name}-{pieces}", pieces, "full") for pieces in case.pieces]
        if any(word in case.name for word in CORE_TOO):
            runs.append((f"{case.name}-core", case.pieces[0], "core"))
        for name, pieces, statistics in runs:
            work = folder / "work" / name
            work.mkdir(parents=True)
            spec = {"job_id": name, "source": {"uris": [f"file://{f}" for f in files], "format": case.form, "columns": case.columns},
                    "normalization": case.normalization, "statistics": statistics, "output": {"uri": f"file://{work}/data", "format": "json"},
                    "results_uri": f"file://{work}/results.json", "piece_bytes": pieces}
            path = folder / "specs" / f"{name}.json"
            path.write_text(json.dumps(spec))
            yield case, source, name, path, work


def place(error, source):
    """Where a fault is, as the embedded engine says it."""
    within = error.get("at") or ", ".join(
        f"{kind} {error[kind]}" for kind in ["row", "column"] if error.get(kind) is not None)
    if source.is_dir() and error.get("file"):
        name = error["file"].split(f"{source}/")[-1]
        return f"{name}: {within}" if within else name
    return within or "/source"


def check_fault(said, events, source):
    """The faults that the job told, all of which the embedded engine must have told."""
    faults = [e for e in events if e["event"] == "fault"]
    if not faults:
        return [f"no fault, and the embedded engine said: {said}"]
    found = []
    text = said.replace(f"{source}/", "")
    for error in faults[-1]["errors"]:
        detail = error["detail"].replace(f"file:{source}/", "").replace(f"{source}/", "")
        # Which name is alike, the job does not say; and of several files the embedded engine names the first fault's only.
        line = f"{place(error, source)}: {detail}"
        if line not in text and detail.split("; ")[0] not in text:
            found.append(f"told: {line}")
    if found:
        found.append(f"embedded: {said}")
    total = faults[-1]["errors_total"]
    more = [line for line in said.splitlines() if line.startswith("  and ") and line.endswith(" more")]
    expected = (20 + int(more[0].split()[1])) if more else None
    if expected is not None and expected != total:
        found.append(f"{total} faults, and {expected} by the embedded engine")
    return found


def check(answer, data, results, work):
    reference = answer["spark_processing"]["rdd_results"]["columns"]
    if work.name.endswith("-core"):
        reference = {name: dict(column, distinct=None) for name, column in reference.items()}
    found = []
    for pipeline in ["rdd_results", "dataframe_results"]:
        columns = results[pipeline]["columns"]
        if list(columns) != list(reference):
            found.append(f"{pipeline}: columns {list(columns)}, expected {list(reference)}")
            continue
        for name, column in reference.items():
            found += [f"{pipeline} {name}: {line}" for line in compare.differences(column, columns[name])]
    skipped = [(c["name"], c["data_type"], c["reason"]) for c in answer["processing_summary"]["skipped_columns"]]
    told = [(c["name"], c["data_type"], c["reason"]) for c in results["skipped_columns"]]
    if skipped != told:
        found.append(f"skipped: {told}, expected {skipped}")
    for name, stage in answer["gpu_processing"]["columns"].items():
        if stage["warnings"] != results["gpu_processing"]["columns"][name]["warnings"]:
            found.append(f"{name}: warnings {results['gpu_processing']['columns'][name]['warnings']}")
    if data is not None:
        found += compare.data(data, json.loads((work / "data/data.json").read_text()))
    return found


def run_suite(spark, jar, listing, folder):
    environment = dict(os.environ, SPARK_HOME=spark, SPARK_LOCAL_IP="127.0.0.1", SPARK_LOCAL_DIRS=str(folder / "scratch"))
    command = [f"{spark}/bin/spark-submit", "--master", "local[2]", "--driver-memory", "1500m", "--conf", "spark.ui.enabled=false",
               "--conf", "spark.sql.shuffle.partitions=4", "--driver-java-options", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
               "--class", "caudal.Suite", str(jar), str(listing)]
    with open(folder / "log", "w") as log:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, check=False)
    events, current = {}, None
    for line in done.stdout.splitlines():
        if line.startswith("SUITE begin "):
            current = events.setdefault(line.split(" ", 2)[2], [])
        elif line.startswith("CAUDAL ") and current is not None:
            current.append(json.loads(line[len("CAUDAL "):]))
    if done.returncode != 0:
        print((folder / "log").read_text()[-3000:], file=sys.stderr)
        sys.exit(f"the session ended with {done.returncode}")
    return events


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spark", required=True)
    parser.add_argument("--caudal", required=True)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    chosen = [case for case in cases.all_cases(asked.seed) if any(word in case.name for word in asked.only.split(","))]
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for name in ["sources", "work", "specs", "classes", "bucket", "scratch"]:
            (folder / name).mkdir()
        build = builder()
        build.compile_into(folder / "classes", f"{asked.spark}/jars", [ROOM / "test/caudal/Suite.java"])
        build.pack(folder / "classes", folder / "suite.jar")
        runs = list(submissions(chosen, folder))
        (folder / "list").write_text("".join(f"{path}\n" for _, _, _, path, _ in runs))
        events = run_suite(asked.spark, folder / "suite.jar", folder / "list", folder)
        failed, answers = 0, {}
        for case, source, name, path, work in runs:
            if case.name not in answers:
                answers[case.name] = embedded(asked.caudal, case, source, folder / "bucket")
            answer, data = answers[case.name]
            results = work / "results.json"
            if isinstance(answer, str):
                found = check_fault(answer, events[str(path)], source)
            elif not results.exists():
                found = [f"no results: {events[str(path)][-1]}"]
            else:
                found = check(answer, data, json.loads(results.read_text()), work)
            left = list(work.glob("*.scratch")) + list((folder / "specs").glob("*.scratch"))
            found += [f"left behind: {left}"] if left else []
            failed += bool(found)
            for line in found[:8]:
                print(f"{name}: {line}")
        print(f"{len(runs)} submissions of {len(chosen)} cases, seed {asked.seed}: {failed} differ")
        sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
