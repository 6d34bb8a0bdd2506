//! What one piece of an NDJSON file holds: its columns, what they are, its rows and its faults.
package caudal;

import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

final class JsonSurvey implements Serializable {
    private static final long serialVersionUID = 1;
    final Piece piece;
    final List<Draft> columns = new ArrayList<>();
    /** Those that belong to no column's numbers. */
    final Told told = new Told();
    long lines;
    long rows;

    /** Faults: the first ones, and how many. */
    static final class Told implements Serializable {
        private static final long serialVersionUID = 1;
        final List<Found> first = new ArrayList<>();
        long total;

        boolean counts() {
            return ++total <= Fault.TOLD;
        }
    }

    /** A fault in its order within the piece. */
    static final class Found implements Serializable {
        private static final long serialVersionUID = 1;
        final long line;
        final long order;
        /** Null where the fault is of the line. */
        final String column;
        final String detail;

        Found(long line, long order, String column, String detail) {
            this.line = line;
            this.order = order;
            this.column = column;
            this.detail = detail;
        }
    }

    /** A column of the piece. */
    static final class Draft implements Serializable {
        private static final long serialVersionUID = 1;
        final String name;
        boolean number;
        /** The kind of the first value that was no number, where nobody named the column, and what it was. */
        String other;
        String found;
        /** Of its numbers: after a text, where nobody named it, there are none. */
        final Told told = new Told();
        private long last = -1;

        Draft(String name) {
            this.name = name;
        }
    }

    private JsonSurvey(Piece piece) {
        this.piece = piece;
    }

    /** @param kind what the rows of the file are, and where the line begins that says so
     * @param named the wanted columns; null for every numeric one */
    static JsonSurvey of(Piece piece, long[] kind, List<String> named, Configuration conf) throws IOException {
        JsonSurvey survey = new JsonSurvey(piece);
        try (JsonRows rows = new JsonRows(piece, conf)) {
            Reader reader = survey.new Reader(rows, named);
            do {
                reader.kind = rows.place() < kind[1] ? JsonRows.UNKNOWN : (int) kind[0];
            } while (rows.next(reader.kind, reader));
            survey.lines = rows.line;
        } catch (Window.TooLong e) {
            survey.told.counts();
            survey.told.first.add(new Found(survey.lines + 1, 0, null, "the line is longer than 1 GB; is it one JSON document?"));
        }
        return survey;
    }

    private final class Reader implements JsonRows.Taker {
        private final JsonRows rows;
        private final List<String> named;
        private long order;
        int kind;

        Reader(JsonRows rows, List<String> named) {
            this.rows = rows;
            this.named = named;
        }

        @Override
        public void column(String name) {
            columns.add(new Draft(name));
        }

        @Override
        public void rowEnds() {
            JsonSurvey.this.rows++;
        }

        @Override
        public void notJson(JsonText.NotJson stop) {
            fault(told, null, "the line is not JSON: " + stop.getMessage() + " at column " + stop.column);
        }

        @Override
        public void odd(int found, JsonText json) throws JsonText.NotJson {
            String expected = kind == JsonRows.UNKNOWN ? "a number or an object" : kind == JsonRows.NUMBERS ? "a number or null" : "an object";
            fault(told, null, json.unlike(found, expected));
        }

        private void fault(Told where, String column, String detail) {
            if (where.counts()) {
                where.first.add(new Found(rows.line, order++, column, detail));
            }
        }

        @Override
        public void cell(int column, int found, JsonText json) throws JsonText.NotJson {
            Draft draft = columns.get(column);
            if (draft.last == JsonSurvey.this.rows) {
                fault(told, draft.name, "the key stands twice in its row");
                return;
            }
            draft.last = JsonSurvey.this.rows;
            boolean isNamed = named != null && named.contains(draft.name);
            boolean wanted = isNamed || named == null && draft.other == null;
            if (found == JsonText.NUMBER || found == JsonText.BEYOND) {
                draft.number |= found == JsonText.NUMBER || !wanted;
            }
            if (wanted && (found == JsonText.BEYOND || isNamed && found > JsonText.MISSING)) {
                fault(draft.told, draft.name, json.unlike(found, "a number"));
            } else if (found > JsonText.BEYOND && draft.other == null && !isNamed) {
                draft.other = found == JsonText.TEXT ? "text" : found == JsonText.BOOLEAN ? "boolean" : "nested";
                draft.found = json.described(found);
            }
        }
    }
}
