//! What the beginning of a CSV file says: its delimiter, its columns, and which of them hold numbers.
package caudal;

import java.io.IOException;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

final class CsvHead implements Serializable {
    private static final long serialVersionUID = 1;
    /** Rows that decide whether a column that is not named is numeric. */
    private static final int DECIDING_ROWS = 10_000;
    private static final int LOOKED_AT = 1 << 16;
    String file;
    byte delimiter;
    final List<String> names = new ArrayList<>();
    /** By column: the first text, where that makes it a column of text, and the row that it stands in. */
    String[] text;
    long[] textRow;
    /** Behind the header: where, in which state, and how many line feeds lie before it. */
    long dataStart;
    int state;
    long lines;
    boolean hasRows;
    Fault.Place fault;
    String hint;

    /** @param named the wanted columns; null for every numeric one */
    static CsvHead read(String file, List<String> named, Configuration conf) throws IOException {
        CsvHead head = new CsvHead();
        head.file = file;
        try (Window window = new Window(file, 0, conf)) {
            if (head.open(window)) {
                head.decide(window, named);
            }
        }
        return head;
    }

    private boolean fail(String at, String detail, String cure) {
        fault = Fault.Place.at(file, at, detail);
        hint = cure;
        return false;
    }

    private boolean open(Window window) throws IOException {
        while (window.length < LOOKED_AT && window.more()) {
            continue;
        }
        byte[] bytes = window.bytes;
        int length = Math.min(window.length, LOOKED_AT);
        if (length >= 2 && (bytes[0] == -1 && bytes[1] == -2 || bytes[0] == -2 && bytes[1] == -1)) {
            return fail("line 1", "the file is UTF-16; expected UTF-8", CONVERT);
        }
        int at = length >= 3 && bytes[0] == (byte) 0xEF && bytes[1] == (byte) 0xBB && bytes[2] == (byte) 0xBF ? 3 : 0;
        delimiter = delimiter(bytes, at, length);
        while (window.has(at) && (window.bytes[at] == '\n' || window.bytes[at] == '\r')) {
            lines += window.bytes[at++] == '\n' ? 1 : 0;
        }
        if (!window.has(at)) {
            return fail(null, "the source is empty: expected a header line and rows", null);
        }
        return header(window, at);
    }

    private static final String CONVERT = "convert it first, for instance with iconv -f UTF-16 -t UTF-8, or -f LATIN1";

    private static byte delimiter(byte[] bytes, int from, int to) {
        int end = from;
        while (end < to && bytes[end] != '\n') {
            end++;
        }
        for (byte delimiter : new byte[] {',', '\t', ';'}) {
            for (int i = from; i < end; i++) {
                if (bytes[i] == delimiter) {
                    return delimiter;
                }
            }
        }
        return ',';
    }

    private boolean header(Window window, int at) throws IOException {
        CsvRecord header = new CsvRecord(delimiter);
        int behind = header.read(window, at);
        if (header.isOpen) {
            return fail("line " + (lines + 1 + header.linesBeforeQuote) + ", column " + header.cells, CsvRows.UNCLOSED, null);
        }
        for (int i = 0; i < header.cells; i++) {
            if (Utf8.fault(window.bytes, header.from[i], header.to[i]) >= 0) {
                return fail("line 1", "the header is not UTF-8; expected UTF-8", CONVERT);
            }
            names.add(new String(window.bytes, header.from[i], header.to[i] - header.from[i], StandardCharsets.UTF_8).trim());
        }
        lines += header.lines;
        state = header.state;
        dataStart = window.place(behind);
        hasRows = false;
        return true;
    }

    private void decide(Window window, List<String> named) throws IOException {
        text = new String[names.size()];
        textRow = new long[names.size()];
        int at = (int) (dataStart - window.place(0));
        CsvRecord record = new CsvRecord(delimiter);
        CsvCell cell = new CsvCell();
        int before = state;
        for (long row = 1; row <= DECIDING_ROWS; ) {
            while (window.has(at) && (window.bytes[at] == '\n' || window.bytes[at] == '\r')) {
                // Where there is one column, an empty line is a row.
                row += names.size() == 1 && CsvStates.isEmptyLine(before, window.bytes[at]) ? 1 : 0;
                before = window.bytes[at++] == '\r' ? CsvStates.RETURN : CsvStates.START;
            }
            if (!window.has(at)) {
                return;
            }
            hasRows = true;
            at = record.read(window, at);
            before = record.state;
            if (row <= DECIDING_ROWS && !record.isOpen) {
                look(window, record, cell, row, named);
            }
            row++;
            at = window.passed(at);
        }
    }

    private void look(Window window, CsvRecord record, CsvCell cell, long row, List<String> named) {
        for (int i = 0; i < Math.min(record.cells, text.length); i++) {
            int from = record.from[i];
            int to = record.to[i];
            if (text[i] == null && cell.read(window.bytes, from, to) == CsvCell.TEXT) {
                boolean wanted = named == null;
                // What is no text at all is a fault of numbers, and nothing where nobody asks.
                if (!wanted || Utf8.fault(window.bytes, from, to) < 0) {
                    text[i] = Utf8.shown(window.bytes, from, to);
                    textRow[i] = row;
                }
            }
        }
    }

    /** The columns as a choice is made among them, once their cells are known. */
    List<Column> offered(List<String> named) {
        List<Column> offered = new ArrayList<>();
        for (int i = 0; i < names.size(); i++) {
            boolean wanted = named == null || named.contains(names.get(i));
            String kind = wanted && (named != null || text[i] == null) ? "number" : text[i] == null ? "unknown" : "text";
            String unfit = named == null && text[i] != null ? "it holds text, such as \"" + text[i] + "\"" : null;
            offered.add(new Column(names.get(i), kind, unfit, org.apache.spark.sql.types.DataTypes.DoubleType));
        }
        return offered;
    }
}
