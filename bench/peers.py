"""Prints the peers' table: the same full work by Caudal and by other engines, in one run on one machine.

    cargo build --release
    cargo build --release --workspace --examples
    python3 bench/peers.py                     # 1e6 and 1e7 rows; makes its own Python environment on first use
    python3 bench/peers.py --rows 1e8 --level full --with spark --json peers.json

Each engine runs in a process of its own, once to warm up and then three times that count. The time of an engine in
Python is that of the work without the imports; Caudal's from and to Parquet is from the start of its process to its
exit. All of it lies below ${XDG_CACHE_HOME:-~/.cache}/caudal: environment, data, scratch.
"""

import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile

from peers import check, clock, environment, floor, ours, process, table

ENGINES = {
    "numpy_single": "NumPy, 1 thread", "numpy_threads": f"NumPy, {clock.processors()} threads",
    "scipy_plain": "NumPy + SciPy, a call each", "scikit_learn": "scikit-learn + NumPy", "pandas_series": "pandas",
    "polars_sorted": "Polars", "duckdb_sql": "DuckDB", "pyarrow_compute": "PyArrow compute",
}
SPARK = {"spark_local": f"Spark, local[{clock.processors()}]"}
JSON_ENGINES = ("json (list)", "orjson (list)", "orjson (NumPy array)", "simdjson (NumPy array)", "Polars (Series)")
WAYS = {
    "memory": "in memory: array to statistics and an array of z-scores",
    "parquet": "Parquet file to statistics and Parquet z-scores",
}
WORK = ("count, missing, sum, mean, variance, standard deviation, minimum, maximum, range, skewness, kurtosis, "
        "8 percentiles (type 7), quartiles, fences and outliers, z-score outliers, zeros, negatives, exact mode, "
        "20-bin histogram, z-score column")
HOW = ("runs after one to warm up, each engine in its own process; best wall, median wall, best CPU (user + system). "
       "The input lies in the page cache. Peers' imports are not counted; Caudal's start is, from and to Parquet. "
       "Every peer writes plain uncompressed Parquet; Caudal as it does by default. peak RSS is of the whole process, "
       "libraries included. /best is the ratio to the best peer, which is itself held against the next best. moments "
       "and z-score: largest error on the contract's scales, against extended precision. others: share of the machine "
       "that other processes used meanwhile")


def say(text=""):
    print(text, flush=True)


def progress(text):
    print(text, file=sys.stderr, flush=True)


class Session:
    """What all measurements of one run share."""

    def __init__(self, asked):
        self.asked = asked
        self.full = asked.level == "full"
        self.python = environment.prepare(with_spark="spark" in asked.extra)
        self.data = environment.cache_folder() / "bench-data"
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=environment.cache_folder()))
        self.env = environment.clean(OPENBLAS_NUM_THREADS="1")
        self.engines = {name: title for name, title in (ENGINES | (SPARK if "spark" in asked.extra else {})).items()
                        if not asked.engines or name in asked.engines}

    def ask(self, task, **words):
        return process.ask(self.python, task, self.env, data=str(self.data), scratch=str(self.scratch),
                           repeats=self.asked.repeats, full=self.full, **words)

    def choose_sort(self, rows):
        """Measures NumPy's sort with and without AVX-512 and keeps the quicker; says which."""
        slower = self.env | {"NPY_DISABLE_CPU_FEATURES": "X86_V4"}
        shipped = self.ask("probe_sort", rows=rows)["seconds"]
        try:
            without = process.ask(self.python, "probe_sort", slower, data=str(self.data), rows=rows)["seconds"]
        except process.Failed:
            return "NumPy's sort as shipped"
        if without < shipped:
            self.env = slower
        chosen = "with NPY_DISABLE_CPU_FEATURES=X86_V4" if without < shipped else "as shipped"
        return (f"NumPy's sort {chosen}: {rows:,} values in {table.seconds(shipped)} as shipped, "
                f"{table.seconds(without)} without AVX-512")


def measured(found, checked):
    """A row of the table from the runs of an engine."""
    kept = ("peak", "written", "zscore_error", "runs", "first")
    return clock.summary(found["runs"]) | {"check": checked} | {name: found.get(name) for name in kept}


def row_of(engine, title, what, function):
    """The row that `function` measures, or one that says why there is none."""
    row = {"engine": engine, "title": title}
    progress(f"{what}: {title}")
    try:
        return row | function()
    except process.Failed as failure:
        return row | {"why": str(failure)}


def peer_row(session, name, way, rows):
    def measure():
        found = session.ask("measure", engine=name, way=way, rows=rows)
        return measured(found, found["check"])
    return row_of(name, session.engines[name], f"{way}, {rows:,} rows", measure)


def our_row(session, way, rows, threads=None):
    title = "Caudal" if threads is None else f"Caudal, {threads} thread{'s' if threads > 1 else ''}"
    level, repeats = session.asked.level, session.asked.repeats

    def measure():
        if way == "parquet":
            profile, found = ours.parquet(session.data / f"x-{rows}.parquet", level, repeats, session.scratch,
                                          lambda folder: session.ask("check_parquet", rows=rows, folder=folder))
        else:
            profile, found = ours.memory(session.data / f"x-{rows}.f64", level, threads, repeats)
        checked = session.ask("compare", rows=rows, profile=profile) if profile else None
        return measured(found, checked) | {"threads": threads}
    return row_of("caudal", title, f"{way}, {rows:,} rows", measure)


def against_best(rows, keys):
    """Adds to each row its ratio to the best peer for each key, and the rival's name.

    The best peer itself is held against the next best. What is wrong is nobody's rival.
    """
    for key in keys:
        fit = [row for row in rows if row.get("engine") != "caudal" and key in row and not wrong(row)]
        fit.sort(key=lambda row: value(row, key))
        for row in rows:
            rival = next((other for other in fit if other is not row), None)
            known = rival is not None and key in row
            row[f"{key}_ratio"] = value(row, key) / value(rival, key) if known else None
            row[f"{key}_rival"] = rival["title"] if known else None
    return rows


def value(row, key):
    return row[key]["wall"] if isinstance(row[key], dict) else row[key]


def wrong(row):
    error = row.get("zscore_error")
    return (row.get("right") is False or bool((row.get("check") or {}).get("wrong"))
            or error is not None and not error < check.ZSCORE_BOUND)


def peers_table(session, way, rows):
    """All engines one way at one size."""
    found = [peer_row(session, name, way, rows) for name in session.engines]
    counts = [None] if way == "parquet" else sorted({1, clock.processors()})
    found += [our_row(session, way, rows, threads) for threads in counts]
    against_best(found, ("wall", "cpu"))
    say(f"\n{WAYS[way]}, {rows:,} rows, {session.asked.level}")
    say(table.peers(found, rows))
    say("; ".join(rivals(found, key) for key in ("wall", "cpu")))
    return found


def rivals(rows, key):
    """Names the best peer, and the next best that it is held against itself."""
    fit = sorted((row for row in rows if row["engine"] != "caudal" and key in row and not wrong(row)),
                 key=lambda row: value(row, key))
    names = [row["title"] for row in fit[:2]]
    held = f" (itself held against {names[1]})" if len(names) == 2 else ""
    return f"best peer by {key}: {names[0]}{held}" if names else f"no peer by {key}"


def json_table(session):
    """Parsing and printing an array of 1,000,000 doubles."""
    file = session.scratch / "doubles.json"
    session.ask("json_file", rows=max(session.asked.rows), count=1_000_000, file=str(file))
    rows = [row_of(name, name, "JSON", lambda name=name: session.ask("json_engine", engine=name, file=str(file)))
            for name in JSON_ENGINES]
    rows.append(row_of("caudal", "Caudal", "JSON", lambda: ours.json_numbers(file, session.asked.repeats)))
    against_best(rows, ("parse", "print"))
    say(f"\nJSON: an array of up to 1,000,000 doubles, {table.megabytes(file.stat().st_size)}; wall seconds")
    say(table.json_rows(rows))
    say("; ".join(rivals(rows, key) for key in ("parse", "print")))
    return rows


def distances(rates, tables):
    """How far Caudal and the quickest peer are from what the machine could do."""
    found = []
    for (way, rows), table_rows in tables.items():
        least = floor.least_seconds(rates, rows, way)
        timed = [row for row in table_rows if "wall" in row and not wrong(row)]
        peers = sorted((row for row in timed if row["engine"] != "caudal"), key=lambda row: row["wall"])[:1]
        for row in [row for row in timed if row["engine"] == "caudal"] + peers:
            found.append({"way": way, "rows": rows, "floor": least, "title": row["title"], "wall": row["wall"],
                          "distance": row["wall"] / least})
    return found


def scaling(session, tables):
    """Caudal's kernels in memory on 1, 2, 4 … threads at every size."""
    found = []
    for rows in session.asked.rows:
        known = {row.get("threads"): row for row in tables.get(("memory", rows), []) if row["engine"] == "caudal"}
        one = None
        for threads in ours.thread_counts():
            row = known.get(threads) or our_row(session, "memory", rows, threads)
            if "wall" in row:
                one = one or row["wall"]
                found.append({"rows": rows, "threads": threads, "wall": row["wall"], "cpu": row["cpu"],
                              "speed_up": one / row["wall"]})
    return found


def revision():
    """The commit that is checked out, with a mark where files differ from it."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ours.ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def preface(session):
    """Says what was measured, on what, and how."""
    asked = session.asked
    machine = session.ask("machine")
    packages = {name: version for name, version in machine.pop("packages").items()
                if name in environment.PINS | environment.SPARK_PINS}
    data = session.ask("prepare", sizes=asked.rows)["description"]
    sort = session.choose_sort(min(max(asked.rows), 10_000_000))
    about = {"at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "revision": revision(),
             "machine": machine, "packages": packages, "data": data, "sort": sort, "level": asked.level}
    say(f"Caudal {about['revision']} and its peers, {about['at']}")
    say(f"machine: {machine['processor']}, {machine['processors']} processors, {table.megabytes(machine['memory'])}, "
        f"{machine['system']}, load {machine['load']:.1f}")
    say(f"peers: Python {machine['python']}, " + ", ".join(f"{n} {v}" for n, v in sorted(packages.items())))
    say(f"data: {data}")
    say(f"work: {WORK}{', distinct values' if session.full else ''}")
    say(f"how: {asked.repeats} {HOW}")
    say(sort)
    return about


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=lambda text: [int(float(part)) for part in text.split(",")],
                        default=[1_000_000, 10_000_000], help="sizes, such as 1e6,1e8 (default: 1e6,1e7)")
    parser.add_argument("--level", choices=("core", "full"), default="core", help="full counts distinct values too")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--engines", nargs="+", choices=[*ENGINES, *SPARK], help="only these peers")
    parser.add_argument("--with", dest="extra", action="append", choices=("spark",), default=[])
    parser.add_argument("--without", nargs="+", choices=("json", "floor", "scaling"), default=[])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", metavar="OUT", help="where everything is kept as JSON")
    return parser.parse_args()


def measure(session):
    """Everything that was asked for, printed as it comes."""
    asked, found = session.asked, {"about": preface(session)}
    tables = {(way, rows): peers_table(session, way, rows) for rows in asked.rows for way in asked.ways}
    found["peers"] = [{"way": way, "rows": rows, "engines": table_rows} for (way, rows), table_rows in tables.items()]
    if "scaling" not in asked.without:
        found["scaling"] = scaling(session, tables)
        say("\nCaudal in memory, by threads and rows")
        say(table.scaling(found["scaling"]) if found["scaling"] else f"not built: {ours.EXAMPLE}")
    if "json" not in asked.without:
        found["json"] = json_table(session)
    if "floor" not in asked.without:
        progress("the machine's floor")
        found["floor"] = floor.measure(session.python, session.scratch)
        found["distances"] = distances(found["floor"], tables)
        say("\nthe machine's floor: " + table.floor(found["floor"]))
        say(table.distances(found["distances"]))
    return found


def main():
    asked = arguments()
    environment.cache_folder().mkdir(parents=True, exist_ok=True)
    session = Session(asked)
    try:
        found = measure(session)
    finally:
        subprocess.run(["rm", "-rf", session.scratch], check=False)
    if asked.json:
        pathlib.Path(asked.json).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
