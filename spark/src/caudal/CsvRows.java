//! The rows of one piece of a CSV file as blocks; faults go into its report.
package caudal;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.Iterator;
import org.apache.hadoop.conf.Configuration;

/** Of a piece are the rows that begin in it. */
final class CsvRows implements Iterator<Block> {
    static final String UNCLOSED = "expected a quote that ends the cell, found the end of the file; close the cell with a "
        + "quote, or double each quote that belongs to its text";
    private final CsvPlan plan;
    private final Piece piece;
    private final Report report;
    private final Window window;
    private final Block block;
    private final CsvRecord record;
    private final CsvCell cell = new CsvCell();
    private int at;
    private int state;
    private long row;
    private long line;
    private long emptyLines;
    private boolean ended;

    CsvRows(CsvPlan plan, Piece piece, Report report, Block block, Configuration conf) throws IOException {
        this.plan = plan;
        this.piece = piece;
        this.report = report;
        this.block = block;
        window = new Window(piece.path, piece.from, conf);
        record = new CsvRecord(plan.delimiter);
        state = piece.state;
        row = piece.rowsBefore;
        line = piece.linesBefore + 1;
        finishRowBefore();
    }

    /** The row that began before this piece is read by whoever has its beginning. */
    private void finishRowBefore() throws IOException {
        CsvStates states = new CsvStates(plan.delimiter);
        while (!CsvStates.isBeforeRow(state) && isWithin() && window.has(at)) {
            line += window.bytes[at] == '\n' ? 1 : 0;
            state = states.next(state, window.bytes[at++]);
            at = window.passed(at);
        }
    }

    private boolean isWithin() {
        return window.place(at) < piece.to;
    }

    @Override
    public boolean hasNext() {
        return !ended;
    }

    @Override
    public Block next() {
        block.rows = 0;
        Arrays.fill(block.inexact, 0);
        try {
            while (!ended && block.rows < block.capacity()) {
                ended = !takeEmptyLine() && !takeRow();
            }
            if (ended) {
                window.close();
            }
        } catch (Window.TooLong e) {
            fault("row " + (row + 1), "line " + line + ": the row is longer than 1 GB; is a quote left open?", null);
            ended = true;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return block;
    }

    /** Puts one empty line in as a row, where rows have one cell and another row follows; whether it did. */
    private boolean takeEmptyLine() throws IOException {
        while (isWithin() && window.has(at) && (window.bytes[at] == '\n' || window.bytes[at] == '\r')) {
            emptyLines += CsvStates.isEmptyLine(state, window.bytes[at]) ? 1 : 0;
            line += window.bytes[at] == '\n' ? 1 : 0;
            state = window.bytes[at++] == '\r' ? CsvStates.RETURN : CsvStates.START;
            at = window.passed(at);
        }
        boolean rowFollows = piece.rowsFollow || isWithin() && window.has(at);
        if (emptyLines == 0 || plan.names.length != 1 || !rowFollows) {
            return false;
        }
        emptyLines--;
        row++;
        if (plan.target[0] >= 0) {
            block.values[0][block.rows] = Double.NaN;
        }
        block.rows++;
        report.rows++;
        return true;
    }

    private boolean takeRow() throws IOException {
        emptyLines = 0;
        if (!CsvStates.isBeforeRow(state) || !isWithin() || !window.has(at)) {
            return false;
        }
        at = record.read(window, at);
        state = record.state;
        row++;
        if (record.isOpen) {
            String column = record.cells <= plan.names.length ? plan.names[record.cells - 1] : null;
            fault(null, "line " + (line + record.linesBeforeQuote) + ": " + UNCLOSED, column);
            return false;
        }
        if (record.cells != plan.names.length) {
            fault(null, "line " + line + ": expected " + plan.names.length + " fields, found " + record.cells, null);
        }
        for (int i = 0; i < plan.target.length; i++) {
            take(i, i < record.cells ? record.from[i] : 0, i < record.cells ? record.to[i] : 0);
        }
        line += record.lines;
        block.rows++;
        report.rows++;
        at = window.passed(at);
        return true;
    }

    private void take(int i, int from, int to) {
        int column = plan.target[i];
        if (column == CsvPlan.UNWANTED) {
            return;
        }
        byte[] text = window.bytes;
        if (column == CsvPlan.TEXT) {
            // Before the first text it was still taken for a column of numbers.
            boolean beyond = row < plan.textRow[i] && cell.read(text, from, to) == CsvCell.BEYOND;
            if (isText(i, from, to) && beyond) {
                fault(null, CsvCell.unlike(CsvCell.BEYOND, text, from, to), plan.names[i]);
            }
            return;
        }
        int kind = cell.read(text, from, to);
        block.values[column][block.rows] = cell.value;
        if (kind <= CsvCell.MISSING) {
            report.inexact[column] += cell.inexact ? 1 : 0;
        } else if (isText(i, from, to)) {
            fault(null, CsvCell.unlike(kind, text, from, to), plan.names[i]);
        }
    }

    private boolean isText(int i, int from, int to) {
        int wrong = Utf8.fault(window.bytes, from, to);
        if (wrong >= 0) {
            String found = String.format("0x%02X", window.bytes[wrong]);
            fault(null, "the cell is not UTF-8, it has the byte " + found
                + "; convert the file, for instance with iconv -f LATIN1 -t UTF-8", plan.names[i]);
        }
        return wrong < 0;
    }

    private void fault(String at, String detail, String column) {
        if (report.counts()) {
            Fault.Place place = at == null ? new Fault.Place(detail, piece.path, row, column) : Fault.Place.at(piece.path, at, detail);
            report.faults.add(place);
        }
    }
}
