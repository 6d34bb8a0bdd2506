//! Where a byte of CSV stands in the grammar of rows, cells and quotes, from every state that a piece may begin in.
package caudal;

import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;

final class CsvStates {
    /** Before a row; behind a carriage return that ended one; before a cell; in a plain cell; in quotes; behind a quote in quotes. */
    static final int START = 0;
    static final int RETURN = 1;
    static final int CELL = 2;
    static final int PLAIN = 3;
    static final int QUOTED = 4;
    static final int CLOSING = 5;
    static final int STATES = 6;
    private static final int BUFFER = 1 << 16;
    private final byte delimiter;

    /** What a piece of a file holds, by the state that it begins in. */
    static final class Passage implements Serializable {
        private static final long serialVersionUID = 1;
        final int[] end = {START, RETURN, CELL, PLAIN, QUOTED, CLOSING};
        final long[] rows = new long[STATES];
        final long[] emptyLines = new long[STATES];
        long lines;
    }

    CsvStates(byte delimiter) {
        this.delimiter = delimiter;
    }

    int next(int state, byte c) {
        if (state == QUOTED) {
            return c == '"' ? CLOSING : QUOTED;
        }
        if (c == delimiter) {
            return CELL;
        }
        switch (c) {
            case '\n': return START;
            case '\r': return RETURN;
            case '"': return state == PLAIN ? PLAIN : QUOTED;
            default: return PLAIN;
        }
    }

    /** Whether a line that ends with this byte before a row is an empty one. */
    static boolean isEmptyLine(int state, byte c) {
        return c == '\r' || c == '\n' && state == START;
    }

    static boolean isBeforeRow(int state) {
        return state <= RETURN;
    }

    /** Goes through a piece once for each state that is still different from the others. */
    Passage pass(String path, long from, long to, Configuration conf) throws IOException {
        Passage passage = new Passage();
        Path file = new Path(path);
        byte[] buffer = new byte[BUFFER];
        try (FSDataInputStream in = file.getFileSystem(conf).open(file)) {
            in.seek(from);
            for (long left = to - from; left > 0; ) {
                int read = fill(in, buffer, (int) Math.min(left, BUFFER));
                if (read == 0) {
                    break;
                }
                pass(passage, buffer, read);
                left -= read;
            }
        }
        return passage;
    }

    private static int fill(InputStream in, byte[] buffer, int length) throws IOException {
        int filled = 0;
        while (filled < length) {
            int read = in.read(buffer, filled, length - filled);
            if (read < 0) {
                break;
            }
            filled += read;
        }
        return filled;
    }

    private void pass(Passage passage, byte[] buffer, int length) {
        for (int i = 0; i < length; i++) {
            passage.lines += buffer[i] == '\n' ? 1 : 0;
        }
        boolean[] done = new boolean[STATES];
        for (int start = 0; start < STATES; start++) {
            if (!done[start]) {
                int begin = passage.end[start];
                Count count = count(begin, buffer, length);
                for (int same = start; same < STATES; same++) {
                    if (!done[same] && passage.end[same] == begin) {
                        done[same] = true;
                        passage.end[same] = count.state;
                        passage.rows[same] += count.rows;
                        passage.emptyLines[same] += count.emptyLines;
                    }
                }
            }
        }
    }

    private static final class Count {
        int state;
        long rows;
        long emptyLines;
    }

    private Count count(int begin, byte[] buffer, int length) {
        Count count = new Count();
        int state = begin;
        for (int i = 0; i < length; i++) {
            int next = next(state, buffer[i]);
            if (isBeforeRow(state)) {
                if (!isBeforeRow(next)) {
                    count.rows++;
                } else if (isEmptyLine(state, buffer[i])) {
                    count.emptyLines++;
                }
            }
            state = next;
        }
        count.state = state;
        return count;
    }
}
