"""Keeps the private Python environment in which the peers run, with every version pinned."""

import os
import pathlib
import subprocess
import sys
import venv

PINS = {
    "numpy": "2.4.6",
    "scipy": "1.17.1",
    "pandas": "3.1.1",
    "polars": "2.1.0",
    "duckdb": "2.0.1",
    "pyarrow": "26.0.1",
    "scikit-learn": "1.9.1",
    "psutil": "7.2.2",
    "orjson": "3.13.0",
    "pysimdjson": "7.0.2",
}
SPARK_PINS = {"pyspark": "4.1.4"}


def cache_folder():
    """Where data, the environment and built helpers are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "caudal"


def prepare(with_spark=False):
    """The environment's Python; creates or completes the environment where a pin is missing."""
    folder = cache_folder() / "bench-venv"
    python = folder / "bin" / "python"
    stamp = folder / "installed.txt"
    wanted = [f"{name}=={version}" for name, version in (PINS | (SPARK_PINS if with_spark else {})).items()]
    installed = stamp.read_text().split() if stamp.exists() else []
    missing = [requirement for requirement in wanted if requirement not in installed]
    if missing:
        if sys.version_info < (3, 11):
            sys.exit("the pinned peers need Python 3.11 or newer")
        if not python.exists():
            venv.create(folder, with_pip=True)
        print(f"installing {' '.join(missing)} into {folder}", file=sys.stderr)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *missing], check=True)
        kept = [line for line in installed if line.split("==")[0] not in {m.split("==")[0] for m in missing}]
        stamp.write_text("\n".join(kept + missing) + "\n")
    return python


def clean(**extra):
    """The environment variables of a measured process: what would slow a library down is taken out."""
    unwanted = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "NPY_DISABLE_CPU_FEATURES", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1"} | extra
