"""Makes the measured column, the same bytes on every machine, as raw little-endian f64 and as Parquet."""

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BLOCK = 1_048_576
SEED = 20261125
DESCRIPTION = (
    "one f64 column x: 60 % normal(50, 20), 40 % log-normal(3, 0.8) rounded to cents, mixed at random, then 0.1 % NaN; "
    f"seed {SEED}. Parquet: plain, uncompressed, no dictionary, row groups of {BLOCK:,} rows"
)
# Every engine that lets itself be told so writes its z-scores in the same form, which is its quickest.
PLAIN = {"compression": "none", "use_dictionary": False, "write_statistics": False, "write_batch_size": 65_536}
SCHEMA = pa.schema([pa.field("x", pa.float64(), nullable=False)])


def block(index):
    """The rows [index * BLOCK, (index + 1) * BLOCK) of the column, however many of them are used."""
    random = np.random.Generator(np.random.PCG64([SEED, index]))
    values = random.normal(50.0, 20.0, BLOCK)
    cents = random.random(BLOCK) < 0.4
    values[cents] = np.round(random.lognormal(3.0, 0.8, int(cents.sum())), 2)
    values[random.random(BLOCK) < 0.001] = np.nan
    return values


def make(rows, folder):
    """Writes `x-ROWS.f64` and `x-ROWS.parquet` below `folder` unless they are there."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    raw, parquet = folder / f"x-{rows}.f64", folder / f"x-{rows}.parquet"
    if raw.exists() and parquet.exists():
        return
    parts = [path.with_suffix(path.suffix + ".part") for path in (raw, parquet)]
    options = PLAIN | {"write_statistics": True}
    with open(parts[0], "wb") as file, pq.ParquetWriter(parts[1], SCHEMA, **options) as writer:
        for index in range(-(-rows // BLOCK)):
            values = block(index)[: rows - index * BLOCK]
            values.astype("<f8").tofile(file)
            writer.write_table(pa.table([values], schema=SCHEMA), row_group_size=BLOCK)
    parts[0].rename(raw)
    parts[1].rename(parquet)
