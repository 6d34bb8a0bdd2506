//! One row of CSV, cut into its cells as the window holds them.
package caudal;

import java.io.IOException;
import java.util.Arrays;

/** Used again for each row. Quoted cells are freed from their quotes where they lie. */
final class CsvRecord {
    private final byte delimiter;
    int cells;
    int[] from = new int[16];
    int[] to = new int[16];
    /** Line feeds within and behind the row. */
    long lines;
    /** Whether the file ended within quotes: the cell, and the line feeds before it. */
    boolean isOpen;
    long linesBeforeQuote;
    /** What the row ended with: START or RETURN. */
    int state;

    CsvRecord(byte delimiter) {
        this.delimiter = delimiter;
    }

    /** Reads the row that begins here; where the next byte behind it is. */
    int read(Window window, int begin) throws IOException {
        cells = 0;
        lines = 0;
        isOpen = false;
        state = CsvStates.START;
        int at = begin;
        while (true) {
            at = window.has(at) && window.bytes[at] == '"' ? quoted(window, at) : plain(window, at, at, at);
            if (!window.has(at)) {
                return at;
            }
            byte c = window.bytes[at++];
            if (c != delimiter) {
                lines += c == '\n' ? 1 : 0;
                state = c == '\r' ? CsvStates.RETURN : CsvStates.START;
                return at;
            }
        }
    }

    /** The cell goes on without quotes, after what has been kept of it; where its end is. */
    private int plain(Window window, int begin, int kept, int next) throws IOException {
        int at = next;
        int write = kept;
        while (window.has(at)) {
            byte[] bytes = window.bytes;
            int length = window.length;
            byte c = 0;
            int start = at;
            while (at < length && (c = bytes[at]) != delimiter && c != '\n' && c != '\r') {
                at++;
            }
            if (write != start) {
                System.arraycopy(bytes, start, bytes, write, at - start);
            }
            write += at - start;
            if (at < length) {
                break;
            }
        }
        put(begin, write);
        return at;
    }

    private int quoted(Window window, int quote) throws IOException {
        linesBeforeQuote = lines;
        int begin = quote + 1;
        int write = begin;
        int at = begin;
        while (window.has(at)) {
            byte c = window.bytes[at];
            if (c == '"') {
                if (!window.has(at + 1) || window.bytes[at + 1] != '"') {
                    return plain(window, begin, write, at + 1);
                }
                at++;
            }
            lines += c == '\n' ? 1 : 0;
            window.bytes[write++] = window.bytes[at++];
        }
        isOpen = true;
        put(begin, write);
        return at;
    }

    private void put(int begin, int end) {
        if (cells == from.length) {
            from = Arrays.copyOf(from, cells * 2);
            to = Arrays.copyOf(to, cells * 2);
        }
        from[cells] = begin;
        to[cells++] = end;
    }
}
