//! The processed columns of one piece of an NDJSON file as blocks.
package caudal;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/** The piece has been surveyed and is without fault. */
final class JsonBlocks implements Iterator<Block>, JsonRows.Taker {
    private final JsonRows rows;
    private final int kind;
    private final int columns;
    private final Report report;
    private final Block block;
    private boolean ended;

    JsonBlocks(Piece piece, int kind, List<String> processed, Report report, Block block, Configuration conf) throws IOException {
        rows = new JsonRows(piece, conf);
        processed.forEach(rows::expect);
        columns = processed.size();
        this.kind = kind;
        this.report = report;
        this.block = block;
    }

    @Override
    public boolean hasNext() {
        return !ended;
    }

    @Override
    public Block next() {
        block.rows = 0;
        Arrays.fill(block.inexact, 0);
        clear();
        try {
            while (!ended && block.rows < block.capacity()) {
                ended = !rows.next(kind, this);
            }
            if (ended) {
                rows.close();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return block;
    }

    /** What a row does not have is missing. */
    private void clear() {
        if (block.rows < block.capacity()) {
            for (double[] values : block.values) {
                values[block.rows] = Double.NaN;
            }
        }
    }

    @Override
    public void cell(int column, int found, JsonText json) {
        if (column < columns && found == JsonText.NUMBER) {
            block.values[column][block.rows] = json.value;
            report.inexact[column] += json.inexact ? 1 : 0;
        } else if (column < columns && found == JsonText.TEXT) {
            // Only in what was written here: of a source, columns with text are not read.
            block.values[column][block.rows] = json.isInfinity() ? Double.POSITIVE_INFINITY : Double.NEGATIVE_INFINITY;
        }
    }

    @Override
    public void rowEnds() {
        block.rows++;
        report.rows++;
        clear();
    }

    @Override
    public void odd(int found, JsonText json) {
        throw new IllegalStateException("the file has changed while it was read: a row is another one");
    }

    @Override
    public void notJson(JsonText.NotJson stop) {
        throw new IllegalStateException("the file has changed while it was read: " + stop.getMessage());
    }

    @Override
    public void column(String name) {
        // Nobody asked for it.
    }
}
