"""Cuts the small extracts in this folder from the data sets of the npm package vega-datasets.

    npm pack vega-datasets@3.2.1 && tar xzf vega-datasets-3.2.1.tgz
    python3 -m venv env && env/bin/pip install pyarrow
    env/bin/python examples/make_extracts.py package/data examples

Rows are taken at even steps from the first row on, nothing is rounded, renamed or added, so that the
same source gives the same rows again. The bytes of the Parquet and Arrow files also depend on the
version of pyarrow (26.0.1 wrote the files that are here).
"""

import argparse
import json
import pathlib
import shutil

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

PARQUET_ROWS = 200_000
ROW_GROUP_ROWS = 50_000
JSON_ROWS = 2_000
ARROW_ROWS = 5_000
ARROW_BATCH_ROWS = 2_000


def every_nth(table: pa.Table, rows: int) -> pa.Table:
    """`rows` rows of a table, at even steps from the first one on."""
    step = table.num_rows // rows
    return table.take(pa.array(range(0, step * rows, step)))


def cut_parquet(source: pathlib.Path, target: pathlib.Path) -> None:
    """Four row groups: a timestamp (delta encoded), two integers and two texts (dictionary encoded)."""
    table = every_nth(pa.parquet.read_table(source), PARQUET_ROWS)
    narrow = pa.schema([pa.field(f.name, pa.string() if pa.types.is_large_string(f.type) else f.type)
                        for f in table.schema])
    dictionaries = [name for name in narrow.names if name != "date"]
    pa.parquet.write_table(table.cast(narrow), target, row_group_size=ROW_GROUP_ROWS, compression="zstd",
                           compression_level=19, store_schema=False, use_dictionary=dictionaries,
                           column_encoding={"date": "DELTA_BINARY_PACKED"})


def cut_json(source: pathlib.Path, array: pathlib.Path, lines: pathlib.Path) -> None:
    """The same rows twice: as one array of objects, and as one object a line."""
    records = json.loads(source.read_text(encoding="utf-8"))
    records = records[:: len(records) // JSON_ROWS][:JSON_ROWS]
    rows = [json.dumps(record, separators=(",", ":")) for record in records]
    array.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")
    lines.write_text("\n".join(rows) + "\n", encoding="utf-8")


def cut_arrow(source: pathlib.Path, target: pathlib.Path) -> None:
    """An Arrow IPC file of narrow types (int16, int16, float32) in three batches."""
    with pa.memory_map(str(source)) as memory:
        table = every_nth(pa.ipc.open_file(memory).read_all(), ARROW_ROWS).combine_chunks()
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=ARROW_BATCH_ROWS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path, help="folder with the files of vega-datasets")
    parser.add_argument("target", type=pathlib.Path, help="folder to write the extracts to")
    where = parser.parse_args()
    where.target.mkdir(parents=True, exist_ok=True)
    cut_parquet(where.source / "flights-3m.parquet", where.target / "flights.parquet")
    cut_json(where.source / "flights-20k.json", where.target / "flights.json", where.target / "flights.ndjson")
    cut_arrow(where.source / "flights-200k.arrow", where.target / "flights.arrow")
    shutil.copyfile(where.source / "seattle-weather.csv", where.target / "seattle-weather.csv")


if __name__ == "__main__":
    main()
