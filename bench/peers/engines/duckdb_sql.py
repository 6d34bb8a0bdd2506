"""DuckDB: a few SQL queries over the column, each with as many aggregates as share a pass."""

import math

import duckdb
import pyarrow as pa

from peers import work


def load(values):
    """A table in DuckDB's own memory."""
    connection = duckdb.connect()
    connection.register("arrow", pa.table({"x": values}))
    connection.execute("CREATE TABLE source AS SELECT x FROM arrow")
    connection.unregister("arrow")
    return connection


def to_numpy(zscores):
    return zscores.column(0).to_numpy()


def row(connection, query):
    """The one row that a query gives."""
    return connection.execute(query).fetchall()[0]


def first_pass(connection, source):
    """Counts, sum, minimum and maximum."""
    return row(connection, f"""
        SELECT count(*), count(*) FILTER (isnan(x)), count(*) FILTER (isfinite(x)), fsum(x) FILTER (isfinite(x)),
               min(x) FILTER (isfinite(x)), max(x) FILTER (isfinite(x)) FROM {source}""")


def second_pass(connection, source, mean, low, high):
    """Sums of powers of deviations, zeros, negatives, and how many values each bin holds."""
    inner = ",".join(repr(-edge) for edge in work.edges(low, high)[-2:0:-1])
    *sums, zeros, negatives, upwards = row(connection, f"""
        SELECT sum(d), sum(q), sum(q * d), sum(q * q), count(*) FILTER (x = 0), count(*) FILTER (x < 0),
               histogram(-x, [{inner}])
        FROM (SELECT x, d, d * d AS q FROM (SELECT x, x - {mean!r} AS d FROM {source} WHERE isfinite(x)))""")
    # Values are negated because DuckDB's bins include their upper bound and the contract's their lower one.
    return sums, zeros, negatives, [upwards.get(key, 0) for key in sorted(upwards, reverse=True)]


def order(connection, source, count):
    """The eight percentiles, and the mode with its frequency, from exact order statistics."""
    ranks = work.needed_ranks(count)
    shares = ",".join(repr((rank + 0.5) / count) for rank in ranks)
    values = row(connection, f"SELECT quantile_disc(x, [{shares}]) FROM {source} WHERE isfinite(x)")[0]
    return work.percentiles(count, dict(zip(ranks, values)).__getitem__)


def frequent(connection, source, full):
    """The mode, and the number of distinct values where it is asked for."""
    groups = f"SELECT x, count(*) AS n FROM {source} WHERE isfinite(x) GROUP BY x"
    if full:
        value, frequency, distinct = row(connection, f"""
            SELECT min_by(x, (-n, x)), max(n), count(*) FROM ({groups})""")
        return (value, frequency), distinct
    return row(connection, f"{groups} ORDER BY n DESC, x LIMIT 1"), None


def statistics(connection, source, full):
    rows, missing, count, total, low, high = first_pass(connection, source)
    mean = total / count
    sums, zeros, negatives, bins = second_pass(connection, source, mean, low, high)
    found = work.recentred(count, mean, *sums)
    quantiles = order(connection, source, count)
    mode, distinct = frequent(connection, source, full)
    lower, upper = work.fences(quantiles)
    reach = 3 * math.sqrt(found["variance"])
    outliers, zscore_outliers = row(connection, f"""
        SELECT count(*) FILTER (x NOT BETWEEN {lower!r} AND {upper!r}),
               count(*) FILTER (abs(x - {found['mean']!r}) > {reach!r}) FROM {source} WHERE isfinite(x)""")
    return work.profile(
        rows=rows, missing=missing, infinite=rows - missing - count, moments=found, low=low, high=high,
        quantiles=quantiles, outliers=outliers, zscore_outliers=zscore_outliers, zeros=zeros, negatives=negatives,
        mode=mode, bins=bins, distinct=distinct)


def zscores(found, source):
    return f"SELECT (x - {found['mean']!r}) / {found['std_dev']!r} AS x FROM {source}"


def memory(connection, full):
    found = statistics(connection, "source", full)
    return found, connection.sql(zscores(found, "source")).to_arrow_table()


def parquet(source, folder, full):
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE source AS SELECT x FROM '{source}'")
    found = statistics(connection, "source", full)
    connection.execute(f"""
        COPY ({zscores(found, "source")}) TO '{folder}/part-0.parquet'
        (FORMAT parquet, COMPRESSION uncompressed, DICTIONARY_SIZE_LIMIT 1)""")
    return found
