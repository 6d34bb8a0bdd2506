"""JSON libraries at an array of doubles: from bytes to numbers and from numbers to bytes."""

import json
import pathlib

import numpy as np

from peers import clock


def make(data, rows, file):
    """The first `rows` finite values of a data set, as the shortest digits that read back the same."""
    values = np.fromfile(data, dtype="<f8", count=rows + rows // 100)
    values = values[np.isfinite(values)][:rows]
    pathlib.Path(file).write_text(json.dumps(values.tolist(), separators=(",", ":")))


def stdlib():
    return json.loads, lambda values: json.dumps(values, separators=(",", ":")).encode()


def orjson_list():
    import orjson

    return orjson.loads, orjson.dumps


def orjson_numpy():
    import orjson

    def parse(text):
        return np.array(orjson.loads(text))
    return parse, lambda values: orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)


def simdjson():
    import simdjson

    parser = simdjson.Parser()

    def parse(text):
        document = parser.parse(text)
        values = np.frombuffer(document.as_buffer(of_type="d"))
        del document
        return values
    return parse, None


def polars():
    import polars as pl

    form = pl.List(pl.Float64)

    def parse(text):
        return pl.Series([text.decode()]).str.json_decode(form).explode()

    def show(values):
        frame = values.implode().to_frame("v").select(pl.struct("v").struct.json_encode())
        return frame.item()[5:-1].encode()
    return parse, show


ENGINES = {"json (list)": stdlib, "orjson (list)": orjson_list, "orjson (NumPy array)": orjson_numpy,
           "simdjson (NumPy array)": simdjson, "Polars (Series)": polars}


def measure(task):
    """Best and median seconds of parsing and of printing, and whether both are right."""
    parse, show = ENGINES[task["engine"]]()
    text = pathlib.Path(task["file"]).read_bytes()
    expected = np.array(json.loads(text))
    values, found, right = None, {}, True
    for name, function, argument in (("parse", parse, lambda: text), ("print", show, lambda: values)):
        if function is None:
            continue
        runs = []
        for _ in range(task["repeats"] + 1):
            result, run = clock.timed(lambda: function(argument()))
            runs.append(run)
        found[name] = clock.summary(runs[1:])
        values = result if name == "parse" else values
        numbers = result if name == "parse" else json.loads(result)
        right &= bool(np.array_equal(np.asarray(numbers, dtype=float), expected))
    return found | {"right": right, "peak": clock.peak_bytes(), "bytes": len(text)}
