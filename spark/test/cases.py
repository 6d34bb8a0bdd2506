"""Sources that every engine must answer the same: text of every shape, fixtures, random numbers, faults."""

import json
import math
import pathlib
import random
import struct

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "cases"


class Case:
    """A source: files by their names, or the text of one; `pieces` are the sizes that text is cut into."""

    def __init__(self, name, text, form="csv", columns=None, pieces=(0, 64), normalization="zscore"):
        self.name, self.form, self.columns, self.pieces, self.normalization = name, form, columns, pieces, normalization
        self.files = text if isinstance(text, dict) else {f"{name}.{form}": text}
        self.files = {name: content if isinstance(content, bytes) else content.encode() for name, content in self.files.items()}

    def write(self, folder):
        """What to process: a file, or the folder of several."""
        if len(self.files) == 1:
            (name, content), = self.files.items()
            path = folder / name
            path.write_bytes(content)
            return path
        below = folder / self.name
        for name, content in self.files.items():
            path = below / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return below


def cell(value, form):
    if value is None or isinstance(value, float) and math.isnan(value):
        return "" if form == "csv" else "null"
    if isinstance(value, float) and math.isinf(value):
        return ("-" if value < 0 else "") + "inf"
    return repr(value)


def table(columns, form):
    """Columns by name as text of one form."""
    names, rows = list(columns), list(zip(*columns.values()))
    if form == "csv":
        body = [",".join(cell(v, form) for v in row) for row in rows]
        return "\n".join([",".join(names)] + [line or '""' for line in body]) + "\n"
    return "".join("{" + ",".join(f"{json.dumps(n)}:{cell(v, form)}" for n, v in zip(names, row)) + "}\n" for row in rows)


def fixtures():
    """All fixtures of one length side by side."""
    by_length = {}
    for path in sorted(FIXTURES.glob("*.json")):
        case = json.loads(path.read_text())
        for name, values in case["input"].items():
            words = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
            values = [words.get(v, v) if isinstance(v, str) else v for v in values]
            by_length.setdefault(len(values), {})[f"{case['name']}_{name}"] = values
    for length, columns in by_length.items():
        yield Case(f"fixtures-{length}", table(columns, "csv"), columns=list(columns), pieces=(0,) if length > 1000 else (0, 900))


def any_double(rng):
    while True:
        value = struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))[0]
        if math.isfinite(value):
            return value


def random_columns(rng, rows):
    heavy = [rng.gauss(0, 1) / max(1e-9, abs(rng.gauss(0, 1))) ** 3 for _ in range(rows)]
    columns = {
        "normal": [rng.gauss(3, 2) for _ in range(rows)],
        "offset": [1e9 + rng.gauss(0, 0.1) for _ in range(rows)],
        "heavy": heavy,
        "ties": [float(rng.randrange(-9, 9)) for _ in range(rows)],
        "one_value": [7.25 if rng.random() < 0.99 else rng.random() for _ in range(rows)],
        "whole": [rng.randrange(-2**62, 2**62) for _ in range(rows)],
        "tiny": [rng.randrange(1, 2**50) * 5e-324 for _ in range(rows)],
        "sorted": [math.log(i + 1) for i in range(rows)],
    }
    for name in ["normal", "ties"]:
        columns[f"{name}_gaps"] = [rng.choice([None, v, v]) for v in columns[name]]
    return columns


def csv_shapes():
    many = "".join(f"{i},{'a' * (i % 7)},{i * 0.5}\n" for i in range(300))
    quoted = "".join(f'"{i}","a ""quoted"" one, and\nmore {i}",{i}.5\n' if i % 3 else f"{i},plain,\n" for i in range(120))
    yield Case("plain", "x,name,y\n" + many, pieces=(0, 7, 100))
    yield Case("quoted", "x,name,y\n" + quoted, pieces=(0, 7, 33, 100))
    yield Case("crlf", ("x,name,y\n" + quoted).replace("\n", "\r\n"), pieces=(0, 7, 33))
    yield Case("cr", "x,y\r" + "".join(f"{i},{-i}\r" for i in range(100)), pieces=(0, 9))
    yield Case("empty-lines", "\n\nx,y\n\n1,2\n\n\n3,4\r\n\r\n5,6\n\n\n", pieces=(0, 3))
    yield Case("one-column", "x\n\n1\n\n\n2\r\n\r\n3\r\r4\n" + "5\n\n" * 50 + "\n\n\n", pieces=(0, 2, 5, 17))
    yield Case("one-column-quoted", 'x\n"1"\n\n""\n"2\n"\n' + '"7"\n\n' * 40 + "9", pieces=(0, 3, 11))
    yield Case("tabs", "x\ty,z\t\n".replace(",", ";") + "1\t2\t3\n4\t5\t\n", pieces=(0, 4))
    yield Case("semicolons", "x;y\n1;2\n3;4\n")
    yield Case("mark", b"\xef\xbb\xbfx,y\n1,2\n3,4\n")
    yield Case("words", "x\nNA\nn/a\nNULL\nnan\n-NaN\ninf\n+INF\n-Infinity\n 1 \n\t2\n+3\n.5\n5.\n-0\n-0.0\n1e3\n1E-3\n", pieces=(0, 5))
    yield Case("digits", "x\n" + "\n".join([
        "9007199254740993", "-9007199254740993", "123456789012345678901234567890", "0.1", "1e22", "1e23", "4.9e-324", "2.4e-324",
        "1.7976931348623157e308", "0.000000000000000000000000000000000000000001", "123456789.123456789e-20", "00000000000000000012",
        "9007199254740992.5", "8.98846567431158e307", "1e-400", "179769313486231570000000000000000000000"]) + "\n", pieces=(0, 20))
    yield Case("no-last-feed", "x,y\n1,2\n3,4")
    yield Case("text", "a,x,b\nü,1,2020-01-01\n\"ö,\",2,x\n", pieces=(0, 6))
    yield Case("named", "x,y,z\n1,a,5\n2,b,6\n", columns=["z"])
    yield Case("empty-name", "x,,\"a b\"\n1,2,3\n4,5,7\n")
    yield Case("late-text", "x,y\n" + "1,2\n" * 9_999 + "a,3\n" + "4,5\n" * 5, pieces=(0,))
    yield Case("scaled", "x,y\n" + many.replace("a", ""), normalization="minmax", columns=["x"])


def csv_faults():
    yield Case("ragged", "x,y\n1,2\n3\n4,5,6\n7,8\n\n9\n", pieces=(0, 4))
    yield Case("ragged-quoted", 'x,y\n"1\n",2\n"3\n\n4"\n5,6,7\n', pieces=(0, 5))
    yield Case("too-late-text", "x,y\n" + "1,2\n" * 10_000 + "4,abc\nabc,5\n", pieces=(0, 30_000))
    yield Case("many-faults", "x,y\n" + "1,2\n" * 10_000 + "4,abc\n" * 50, pieces=(0, 10_000))
    yield Case("not-numbers", "x,y\n1,2\na,3\nb,\n", columns=["x", "y"], pieces=(0, 4))
    yield Case("not-utf8", b"x,name\n1,a\n2,caf\xe9\n\xff,b\n", pieces=(0, 5))
    yield Case("beyond", "x,y\n1e999,2\n3,-1e999\nabc,1e999\n", pieces=(0, 6))
    yield Case("open-quote", 'x,name\n1,a\n2,"b\n3,c\n4,d\n', pieces=(0, 5))
    yield Case("open-quote-late", 'x,name\n1,"a\nb"\n2,"b ""\n3,c\n', pieces=(0, 5))
    yield Case("open-header", 'x,"name\n1,a\n')
    yield Case("twice", "x,y,x\n1,2,3\n")
    yield Case("unknown-name", "x,y\n1,2\n", columns=["z"])
    yield Case("nothing-numeric", "x,y\na,b\nc,d\n")
    yield Case("nothing-numeric-ragged", "x,y\na,b\nc\n")
    yield Case("header-only", "x,y\n")
    yield Case("nothing", "")
    yield Case("only-feeds", "\n\n\n")
    yield Case("utf16", "x,y\n1,2\n".encode("utf-16"))


def ndjson_shapes():
    yield Case("objects", "".join(f'{{"x":{i},"t":"a{i}","y":{i}.25}}\n' for i in range(200)), "ndjson", pieces=(0, 7, 50, 333))
    yield Case("orders", '{"x":1,"y":2}\n{"y":3,"x":4}\n{"z":5}\n\n  \n{}\nnull\n{"x":null}\n', "ndjson", pieces=(0, 5))
    yield Case("numbers", "1\n\n2.5\nnull\n-3e2\n" * 20, "ndjson", pieces=(0, 3))
    yield Case("nulls", "null\n\nnull\n", "ndjson", pieces=(0, 3))
    yield Case("kinds", '{"x":1,"b":true,"n":[1,{"a":"]}"}],"o":{"p":[{}]}}\n{"x":2,"b":1,"n":2,"o":3}\n', "ndjson", pieces=(0, 20))
    yield Case("late-kinds", '{"x":1,"b":2}\n' * 30 + '{"x":2,"b":"text"}\n{"b":1e999,"x":3}\n', "ndjson", pieces=(0, 40))
    yield Case("escapes", '{"a\\u0062":1,"\\"q\\\\":2}\n{"ab":3,"\\"q\\\\":4}\n{"\\ud83d\\ude00":5,"ü":6}\n', "ndjson", pieces=(0, 10))
    yield Case("digits-json", "\n".join(['9007199254740993', '-0', '-0.0', '1E+5', '0.1', '123456789012345678901234567890', '4.9e-324',
                                         '8.98846567431158e307', '1e-999']) + "\n", "ndjson", pieces=(0, 9))
    yield Case("mark-json", b'\xef\xbb\xbf{"x":1}\n{"x":2}', "ndjson")
    yield Case("crlf-json", '{"x":1}\r\n{"x":2}\r\n\r\n{"x":4}', "ndjson", pieces=(0, 4))
    yield Case("named-json", '{"x":1,"y":"a"}\n{"x":2,"y":"b"}\n', "ndjson", columns=["x"])


def ndjson_faults():
    broken = ['{"x":1', '{"x":}', '{"x":1,}', '{x:1}', '[1,2', '{"x":01}', '{"x":1.}', '{"x":nul}', '{"x":"a}', '{"x":1} 2', '{"x" 1}',
              '{"x":-}', '{"x":1e}', 'abc', '{"x":"\\q"}', '{"x":[1,]}', '{"x":{"a":1 "b"}}', '{"x":+1}', '{']
    yield Case("broken", '{"x":1}\n' + "\n".join(broken) + '\n{"x":3}\n', "ndjson", pieces=(0, 6))
    yield Case("odd-rows", '{"x":1}\n5\n[1]\n"a"\ntrue\n{"x":2}\n', "ndjson", pieces=(0, 4))
    yield Case("odd-first", '"a"\n5\n{"x":1}\n6\n', "ndjson", pieces=(0, 4))
    yield Case("keys-twice", '{"x":1,"x":2}\n{"y":1,"x":3,"y":"a"}\n', "ndjson", pieces=(0, 9))
    yield Case("beyond-json", '{"x":1e999}\n{"x":2,"y":-1e999}\n{"y":"a"}\n', "ndjson", pieces=(0, 9))
    yield Case("named-text", '{"x":1,"y":"a"}\n{"x":2,"y":[1]}\n{"y":false}\n', "ndjson", columns=["y"], pieces=(0, 9))
    yield Case("not-utf8-json", b'{"x":1}\n{"x":"\xff"}\n', "ndjson")
    yield Case("half-json", '{"x":1}\n{"x":"\\ud800"}\n', "ndjson")
    yield Case("no-keys", "{}\n{}\n", "ndjson")
    yield Case("nothing-json", "", "ndjson")
    yield Case("feeds-json", "\n\n", "ndjson")
    yield Case("no-numbers-json", '{"x":"a"}\n', "ndjson")


def folders():
    yield Case("folder", {"b.csv": "y,x\n3,4\n5,6\n", "a.csv": "x,y\n1,2\n", "c/d.csv": 'x;y\n"7";8\n', "e.csv": "x,y\n", "_s": ""},
               pieces=(0, 3))
    yield Case("folder-json", {"a.ndjson": '{"x":1,"y":2}\n', "b.ndjson": '{"y":3,"x":4}\n', "c.ndjson": ""}, "ndjson", pieces=(0, 3))
    yield Case("folder-missing", {"a.csv": "x,y\n1,2\n", "b.csv": "x\n3\n", "c.csv": "x,y,z\n3,1,2\n"})
    yield Case("folder-drift", {"a.csv": "x,y\n1,2\n", "b.csv": "x,y\n3,a\n"})
    yield Case("folder-fault", {"a.csv": "x,y\n1,2\n", "b.csv": "x,y\n3\n"})
    yield Case("folder-drift-json", {"a.ndjson": '{"x":1,"y":2}\n', "b.ndjson": '{"x":"a","y":2}\n'}, "ndjson")


def random_text(rng):
    for number in range(3):
        columns = random_columns(rng, rng.choice([1, 2, 50, 700]))
        yield Case(f"random-{number}", table(columns, "csv"), pieces=(0, 5_000))
        finite = {name: values for name, values in columns.items()}
        yield Case(f"random-json-{number}", table(finite, "ndjson"), "ndjson", pieces=(0, 5_000))
    yield Case("any", table({"x": [any_double(rng) for _ in range(2_000)]}, "csv"), pieces=(0, 3_000))
    alphabet = ['"', ",", "\n", "\r", "\r\n", "1", "2.5", "a", '""', "\n\n"]
    for number in range(12):
        body = "".join(rng.choice(alphabet) for _ in range(rng.randrange(5, 120)))
        yield Case(f"grammar-{number}", "x,y\n" + body, pieces=(0, 1, 7))
        yield Case(f"grammar-one-{number}", "x\n1\n" + body.replace(",", ""), pieces=(0, 1, 7))


def all_cases(seed):
    rng = random.Random(seed)
    for group in [csv_shapes(), csv_faults(), ndjson_shapes(), ndjson_faults(), folders(), fixtures(), random_text(rng)]:
        yield from group
