//! Blocks as a Parquet file: plain pages written straight, with no call for each value.
package caudal;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.mapreduce.RecordWriter;
import org.apache.hadoop.mapreduce.TaskAttemptContext;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.statistics.Statistics;
import org.apache.parquet.hadoop.ParquetFileWriter;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.hadoop.util.HadoopOutputFile;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType;
import org.apache.parquet.schema.Type;

/** Uncompressed: what general compression saves of such numbers is little, and costs several times the writing. */
final class ParquetRows extends RecordWriter<Void, Block> {
    /** Rows and values of one row group, about; they are held as bytes until it ends. */
    private static final int ROWS = 1 << 20;
    private static final int VALUES = 1 << 22;
    private final MessageType schema;
    private final ParquetFileWriter writer;
    private final List<List<Page>> columns = new ArrayList<>();
    /** Pages that were written, to be filled again. */
    private final ArrayDeque<byte[]> free = new ArrayDeque<>();
    private int rows;

    private static final class Page {
        final int rows;
        final int nulls;
        final byte[] bytes;
        final int length;

        Page(int rows, int nulls, ByteBuffer bytes) {
            this.rows = rows;
            this.nulls = nulls;
            this.bytes = bytes.array();
            length = bytes.position();
        }
    }

    ParquetRows(String[] names, Path file, Configuration conf) throws IOException {
        Type[] fields = new Type[names.length];
        for (int c = 0; c < names.length; c++) {
            fields[c] = new PrimitiveType(Type.Repetition.OPTIONAL, PrimitiveType.PrimitiveTypeName.DOUBLE, names[c]);
            columns.add(new ArrayList<>());
        }
        schema = new MessageType("schema", fields);
        writer = new ParquetFileWriter(HadoopOutputFile.fromPath(file, conf), schema, ParquetFileWriter.Mode.OVERWRITE, 128L << 20, 0);
        writer.start();
    }

    @Override
    public void write(Void key, Block block) throws IOException {
        if (block.rows == 0) {
            return;
        }
        for (int c = 0; c < columns.size(); c++) {
            columns.get(c).add(page(block.values[c], block.rows));
        }
        rows += block.rows;
        if (rows >= ROWS || (long) rows * columns.size() >= VALUES) {
            flush();
        }
    }

    private void flush() throws IOException {
        if (rows == 0) {
            return;
        }
        writer.startBlock(rows);
        // Made anew at each call.
        List<ColumnDescriptor> described = schema.getColumns();
        for (int c = 0; c < columns.size(); c++) {
            writer.startColumn(described.get(c), rows, CompressionCodecName.UNCOMPRESSED);
            for (Page page : columns.get(c)) {
                Statistics<?> statistics = Statistics.createStats(schema.getType(c));
                statistics.incrementNumNulls(page.nulls);
                writer.writeDataPage(page.rows, page.length, BytesInput.from(page.bytes, 0, page.length), statistics, page.rows,
                    Encoding.RLE, Encoding.RLE, Encoding.PLAIN);
                free.push(page.bytes);
            }
            writer.endColumn();
            columns.get(c).clear();
        }
        writer.endBlock();
        rows = 0;
    }

    @Override
    public void close(TaskAttemptContext context) throws IOException {
        flush();
        writer.end(new HashMap<>());
    }

    /** Definition levels with their length before them, then the values that are there. */
    private Page page(double[] values, int length) {
        int present = 0;
        for (int i = 0; i < length; i++) {
            present += values[i] == values[i] ? 1 : 0;
        }
        byte[] levels = present == length ? run(length) : bitmap(values, length);
        ByteBuffer page = buffer(4 + levels.length + 8 * present).order(ByteOrder.LITTLE_ENDIAN);
        page.putInt(levels.length).put(levels);
        if (present == length) {
            page.asDoubleBuffer().put(values, 0, length);
            page.position(page.position() + 8 * length);
        } else {
            for (int i = 0; i < length; i++) {
                if (values[i] == values[i]) {
                    page.putDouble(values[i]);
                }
            }
        }
        return new Page(length, length - present, page);
    }

    private ByteBuffer buffer(int least) {
        byte[] used = free.poll();
        return ByteBuffer.wrap(used != null && used.length >= least ? used : new byte[least]);
    }

    /** A run of ones. */
    private static byte[] run(int length) {
        ByteBuffer run = ByteBuffer.allocate(8);
        varint(run, length << 1);
        run.put((byte) 1);
        return java.util.Arrays.copyOf(run.array(), run.position());
    }

    private static byte[] bitmap(double[] values, int length) {
        int groups = (length + 7) / 8;
        ByteBuffer bits = ByteBuffer.allocate(8 + groups);
        varint(bits, groups << 1 | 1);
        int begin = bits.position();
        for (int i = 0; i < length; i++) {
            if (values[i] == values[i]) {
                bits.array()[begin + i / 8] |= (byte) (1 << i % 8);
            }
        }
        return java.util.Arrays.copyOf(bits.array(), begin + groups);
    }

    private static void varint(ByteBuffer out, int value) {
        int rest = value;
        while (rest >= 128) {
            out.put((byte) (rest & 127 | 128));
            rest >>>= 7;
        }
        out.put((byte) rest);
    }
}
