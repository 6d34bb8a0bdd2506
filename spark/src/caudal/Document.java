//! The normalised data as one JSON document, read back as blocks.
package caudal;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** It is written for a bounded number of cells, and held whole. */
final class Document implements Iterator<Block> {
    private final double[][] columns;
    private final Block block;
    private int rows;
    private int at;

    Document(String path, List<String> names, Block block, Configuration conf) throws IOException {
        this.block = block;
        columns = new double[names.size()][16];
        Map<String, Integer> places = new HashMap<>();
        for (int c = 0; c < columns.length; c++) {
            places.put(names.get(c), c);
        }
        Path file = new Path(path);
        try (InputStream in = file.getFileSystem(conf).open(file); JsonParser parser = new JsonFactory().createParser(in)) {
            for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
                if (token == JsonToken.START_ARRAY) {
                    read(parser, places.get(parser.getParsingContext().getParent().getCurrentName()));
                }
            }
        }
    }

    private void read(JsonParser parser, int column) throws IOException {
        int length = 0;
        for (JsonToken token = parser.nextToken(); token != JsonToken.END_ARRAY; token = parser.nextToken()) {
            if (length == columns[column].length) {
                columns[column] = Arrays.copyOf(columns[column], length * 2);
            }
            columns[column][length++] = value(parser, token);
        }
        rows = length;
    }

    private static double value(JsonParser parser, JsonToken token) throws IOException {
        if (token == JsonToken.VALUE_NULL) {
            return Double.NaN;
        }
        return token == JsonToken.VALUE_STRING ? Double.parseDouble(parser.getText()) : parser.getDoubleValue();
    }

    @Override
    public boolean hasNext() {
        return at < rows;
    }

    @Override
    public Block next() {
        block.rows = Math.min(block.capacity(), rows - at);
        for (int c = 0; c < columns.length; c++) {
            System.arraycopy(columns[c], at, block.values[c], 0, block.rows);
        }
        at += block.rows;
        return block;
    }
}
