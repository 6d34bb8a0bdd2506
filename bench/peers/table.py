"""Prints results as tables for people."""

from peers import check


def seconds(value):
    if value is None:
        return "–"
    if value < 0.01:
        return f"{1e3 * value:.2f} ms"
    return f"{1e3 * value:.1f} ms" if value < 1 else f"{value:.2f} s"


def megabytes(value):
    return "–" if value is None else f"{value / 1e6:,.0f} MB"


def ratio(value):
    return "–" if value is None else f"{value:.2f}×"


def small(value):
    return "–" if value is None else "0" if value == 0 else f"{value:.0e}"


def share(value):
    return "–" if value is None else f"{value:.0%}"


def lined_up(heads, rows):
    """Rows of texts under their heads, the first column to the left and the others to the right, the last free."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    last = len(heads) - 1

    def line(cells):
        shown = (cell if i == last else cell.ljust(widths[i]) if i == 0 else cell.rjust(widths[i])
                 for i, cell in enumerate(cells))
        return "  ".join(shown).rstrip()
    widths[last] = len(heads[last])
    return "\n".join([line(heads), line(["-" * width for width in widths]), *map(line, rows)])


def exactness(row):
    """What the comparison with the reference found, wrong things loudest."""
    found = row["check"]
    if found is None:
        return "no profile to check"
    words = []
    if found["wrong"]:
        listed = ", ".join(found["wrong"][:6])
        words.append(f"*** WRONG: {listed}{' …' if len(found['wrong']) > 6 else ''} ***")
    if row["zscore_error"] is not None and not row["zscore_error"] < check.ZSCORE_BOUND:
        words.append("*** WRONG z-scores ***")
    if found["last_digits"]:
        words.append(f"last digits of {', '.join(found['last_digits'])}")
    return "; ".join(words) or "equal"


def rivalry(row, key):
    return ratio(row[f"{key}_ratio"])


def peers(rows, sizes):
    """One way at one size: a row for each engine, the quickest first."""
    heads = ["engine", "wall", "median", "CPU", "ns/row", "peak RSS", "written", "wall/best", "CPU/best", "moments",
             "z-score", "others", "counts and order"]
    lines = []
    for row in sorted(rows, key=lambda row: row.get("wall", float("inf"))):
        if "wall" not in row:
            lines.append([row["title"], *["–"] * 11, row["why"]])
            continue
        error = row["check"]["error"] if row["check"] else None
        lines.append([row["title"], seconds(row["wall"]), seconds(row["wall_median"]), seconds(row["cpu"]),
                      f"{1e9 * row['wall'] / sizes:.1f}", megabytes(row["peak"]), megabytes(row.get("written")),
                      rivalry(row, "wall"), rivalry(row, "cpu"), small(error), small(row["zscore_error"]),
                      share(row["others"]), exactness(row)])
    return lined_up(heads, lines)


def json_rows(rows):
    heads = ["library", "parse", "median", "print", "median", "parse/best", "print/best", "result"]
    verdicts = {True: "equal", False: "*** WRONG ***", None: "not checked"}
    lines = []
    for row in rows:
        if "why" in row:
            lines.append([row["title"], *["–"] * 6, row["why"]])
            continue
        parse, show = row.get("parse", {}), row.get("print", {})
        lines.append([row["title"], seconds(parse.get("wall")), seconds(parse.get("wall_median")),
                      seconds(show.get("wall")), seconds(show.get("wall_median")), ratio(row["parse_ratio"]),
                      ratio(row["print_ratio"]), verdicts[row["right"]]])
    return lined_up(heads, lines)


def floor(rates):
    return (f"read {rates['read_1']:.1f} GB/s on 1 thread, {rates['read']:.1f} on {rates['threads']}; "
            f"scale and write {rates['scale_write_1']:.1f}, {rates['scale_write']:.1f}; "
            f"first touch of 4 KiB pages {rates['first_touch_small_pages']:.1f}, of huge pages "
            f"{rates['first_touch_huge_pages']:.1f}; page cache write {rates['cache_write']:.1f}, "
            f"read {rates['cache_read']:.1f} (by {rates['by']})")


def distances(rows):
    """How many times the floor each of ours and the best peer takes."""
    heads = ["way", "rows", "floor", "engine", "wall", "times the floor"]
    return lined_up(heads, [[row["way"], f"{row['rows']:,}", seconds(row["floor"]), row["title"], seconds(row["wall"]),
                             ratio(row["distance"])] for row in rows])


def scaling(rows):
    heads = ["rows", "threads", "wall", "CPU", "ns/row", "speed-up over 1 thread"]
    return lined_up(heads, [[f"{row['rows']:,}", str(row["threads"]), seconds(row["wall"]), seconds(row["cpu"]),
                             f"{1e9 * row['wall'] / row['rows']:.2f}", ratio(row["speed_up"])] for row in rows])
