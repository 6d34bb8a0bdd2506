//! Blocks as CSV, NDJSON or the contract's one JSON document.
package caudal;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.mapreduce.RecordWriter;
import org.apache.hadoop.mapreduce.TaskAttemptContext;

/** Missing values are null, in CSV empty; infinities are strings in JSON, inf and -inf in CSV. */
class TextRows extends RecordWriter<Void, Block> {
    private final boolean csv;
    private final String[] keys;
    final OutputStream out;

    TextRows(String[] names, Path file, Configuration conf, boolean csv) throws IOException {
        this.csv = csv;
        keys = new String[names.length];
        for (int c = 0; c < names.length; c++) {
            keys[c] = csv ? field(names[c]) : new ObjectMapper().writeValueAsString(names[c]) + ":";
        }
        out = new BufferedOutputStream(file.getFileSystem(conf).create(file, true), 1 << 16);
        if (csv) {
            print(String.join(",", keys) + "\n");
        }
    }

    final void print(String text) throws IOException {
        out.write(text.getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public void write(Void none, Block block) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int row = 0; row < block.rows; row++) {
            line.setLength(0);
            for (int c = 0; c < keys.length; c++) {
                line.append(c > 0 ? "," : csv ? "" : "{");
                double value = block.values[c][row];
                line.append(csv ? "" : keys[c]).append(csv ? cell(value) : number(value));
            }
            // A line of one empty field would be no row at all to most readers.
            print((csv && line.length() == 0 ? "\"\"" : line) + (csv ? "\n" : "}\n"));
        }
    }

    @Override
    public void close(TaskAttemptContext context) throws IOException {
        out.close();
    }

    static String number(double value) {
        if (Math.abs(value) <= Double.MAX_VALUE) {
            return Double.toString(value);
        }
        return value != value ? "null" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    }

    private static String cell(double value) {
        if (Math.abs(value) <= Double.MAX_VALUE) {
            return Double.toString(value);
        }
        return value != value ? "" : value > 0 ? "inf" : "-inf";
    }

    /** Quoted where it must be (RFC 4180). */
    private static String field(String text) {
        boolean plain = !text.isEmpty() && text.chars().noneMatch(c -> c == ',' || c == '"' || c == '\n' || c == '\r');
        return plain ? text : "\"" + text.replace("\"", "\"\"") + "\"";
    }

    /** The whole data as one document, column by column: for a bounded number of cells, held until the end. */
    static final class Document extends TextRows {
        private final String[] names;
        private final StringBuilder[] columns;

        Document(String[] names, Path file, Configuration conf) throws IOException {
            super(names, file, conf, false);
            this.names = names;
            columns = new StringBuilder[names.length];
            for (int c = 0; c < names.length; c++) {
                columns[c] = new StringBuilder();
            }
        }

        @Override
        public void write(Void none, Block block) {
            for (int c = 0; c < columns.length; c++) {
                for (int row = 0; row < block.rows; row++) {
                    columns[c].append(columns[c].length() > 0 ? "," : "").append(number(block.values[c][row]));
                }
            }
        }

        @Override
        public void close(TaskAttemptContext context) throws IOException {
            print("{\"columns\":{");
            for (int c = 0; c < columns.length; c++) {
                print((c > 0 ? "," : "") + new ObjectMapper().writeValueAsString(names[c]) + ":[");
                print(columns[c] + "]");
            }
            print("}}");
            super.close(context);
        }
    }
}
