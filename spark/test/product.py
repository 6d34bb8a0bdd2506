"""The product on a real Spark, as tests drive it: `caudal process` in a folder of its own."""

import json
import os
import subprocess

import processes


class Product:
    def __init__(self, binary, spark, folder, master="local[2]"):
        self.binary, self.folder = binary, folder
        self.environment = dict(os.environ, CAUDAL__SPARK__HOME=spark, CAUDAL__SPARK__FOLDER=str(folder / "caudal"),
                                CAUDAL__SPARK__MASTER=master)

    def command(self, source, *arguments, engine="spark"):
        return [self.binary, "process", str(source), "--engine", engine, "--storage", str(self.folder / "bucket"), *arguments]

    def start(self, source, *arguments, **environment):
        command = self.command(source, *arguments)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**self.environment, **environment})

    def run(self, source, *arguments, engine="spark", **environment):
        """The exit code, what it printed and what it said."""
        command = self.command(source, *arguments, engine=engine)
        done = subprocess.run(command, capture_output=True, text=True, env={**self.environment, **environment}, check=False)
        return done.returncode, done.stdout, done.stderr

    def answer(self, source, *arguments, engine="spark", **environment):
        code, out, err = self.run(source, "--format", "json", *arguments, engine=engine, **environment)
        if code != 0:
            raise AssertionError(f"{source}: exit code {code}: {err}")
        return json.loads(out)

    def applications(self):
        """Processes of Spark that this product started and that still run."""
        return processes.naming(str(self.folder / "caudal" / "work"))

    def visible(self):
        """What of the normalised data a reader could take for a result."""
        data = self.folder / "bucket" / "normalized_data"
        return sorted(str(p.relative_to(data)) for p in data.rglob("*") if p.is_file()) if data.exists() else []


def same(reference, answer):
    """What differs between the embedded engine's answer and both pipelines of another."""
    import compare
    found = []
    expected = reference["spark_processing"]["rdd_results"]["columns"]
    for pipeline in ["rdd_results", "dataframe_results"]:
        result = answer["spark_processing"][pipeline]
        if result["status"] != "completed":
            continue
        if list(result["columns"]) != list(expected):
            found.append(f"{pipeline}: columns {list(result['columns'])[:9]}")
            continue
        for name, column in expected.items():
            found += [f"{pipeline} {name}: {line}" for line in compare.differences(column, result["columns"][name])]
    return found
