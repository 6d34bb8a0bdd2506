//! The lines of one piece of an NDJSON file, each read as a row.
package caudal;

import java.io.Closeable;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;

/** Of a piece are the lines that begin in it. What is to be done with the cells of a row, its user says. */
final class JsonRows implements Closeable {
    static final String UNNAMED = "value";
    /** What the rows of a file are, as the first of them that is not null says. */
    static final int UNKNOWN = 0;
    static final int NUMBERS = 1;
    static final int OBJECTS = 2;
    private final Piece piece;
    private final Window window;
    private final JsonText json = new JsonText();
    private final List<String> names = new ArrayList<>();
    private final List<byte[]> bytes = new ArrayList<>();
    private final Map<String, Integer> places = new HashMap<>();
    private int at;
    /** The line that was read last, from 1 on in this piece. */
    long line;

    /** Takes the cells of rows as they come. */
    interface Taker {
        /** A cell of the column of this number; columns are numbered as they appear. */
        void cell(int column, int kind, JsonText json) throws JsonText.NotJson;

        /** A row that is no object where rows are objects, or no number where they are numbers. */
        void odd(int kind, JsonText json) throws JsonText.NotJson;

        void notJson(JsonText.NotJson stop);

        /** A column appears for the first time. */
        void column(String name);

        void rowEnds();
    }

    JsonRows(Piece piece, Configuration conf) throws IOException {
        this.piece = piece;
        boolean middle = piece.from > 0;
        // A line belongs to the piece that its first byte lies in.
        window = new Window(piece.path, middle ? piece.from - 1 : 0, conf);
        if (middle) {
            at = behindLine(0);
        }
    }

    private int behindLine(int from) throws IOException {
        int end = from;
        while (window.has(end)) {
            byte[] text = window.bytes;
            while (end < window.length) {
                if (text[end++] == '\n') {
                    return end;
                }
            }
        }
        return end;
    }

    /** Numbers a column without having seen it. */
    void expect(String name) {
        places.put(name, names.size());
        names.add(name);
        bytes.add(name.getBytes(StandardCharsets.UTF_8));
    }

    /** Reads the next line; false where there is none. An empty one is no row. */
    boolean next(int kind, Taker taker) throws IOException {
        if (window.place(at) >= piece.to || !window.has(at)) {
            return false;
        }
        line++;
        int behind = behindLine(at);
        int end = behind;
        while (end > at && isSpace(window.bytes[end - 1])) {
            end--;
        }
        json.open(window.bytes, at, end);
        if (json.peek() >= 0) {
            try {
                row(kind, taker);
                json.end();
            } catch (JsonText.NotJson stop) {
                taker.notJson(stop);
            }
            taker.rowEnds();
        }
        at = window.passed(behind);
        return true;
    }

    private static boolean isSpace(byte c) {
        return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
    }

    private void row(int kind, Taker taker) throws JsonText.NotJson {
        if (json.peek() == '{' && kind != NUMBERS) {
            object(taker);
            return;
        }
        int found = json.cell();
        if (found == JsonText.NUMBER && kind != OBJECTS) {
            taker.cell(place(UNNAMED, taker), found, json);
        } else if (found != JsonText.MISSING) {
            taker.odd(found, json);
        }
    }

    private void object(Taker taker) throws JsonText.NotJson {
        int hint = 0;
        if (!json.enter()) {
            return;
        }
        do {
            json.key();
            boolean hit = hint < names.size() && json.isString(names.get(hint), bytes.get(hint));
            int column = hit ? hint : place(json.decoded(), taker);
            hint = column + 1;
            taker.cell(column, json.cell(), json);
        } while (json.goesOn('}'));
    }

    private int place(String name, Taker taker) {
        Integer known = places.get(name);
        if (known != null) {
            return known;
        }
        expect(name);
        taker.column(name);
        return names.size() - 1;
    }

    /** The kind of the first row that tells one, and where its line begins; {@code UNKNOWN} where none does. */
    static long[] kind(String path, Configuration conf) throws IOException {
        try (JsonRows rows = new JsonRows(new Piece(0, 0, path, 0, Long.MAX_VALUE), conf)) {
            while (rows.window.has(rows.at)) {
                int behind = rows.behindLine(rows.at);
                rows.json.open(rows.window.bytes, rows.at, behind);
                int kind = kind(rows.json);
                if (kind != UNKNOWN) {
                    return new long[] {kind, rows.place()};
                }
                rows.at = rows.window.passed(behind);
            }
            return new long[] {UNKNOWN, rows.place()};
        }
    }

    private static int kind(JsonText json) {
        if (json.peek() == '{') {
            return OBJECTS;
        }
        try {
            return json.peek() >= 0 && json.cell() == JsonText.NUMBER ? NUMBERS : UNKNOWN;
        } catch (JsonText.NotJson stop) {
            return UNKNOWN;
        }
    }

    /** Where in the file the line that comes next begins. */
    long place() {
        return window.place(at);
    }

    @Override
    public void close() throws IOException {
        window.close();
    }
}
