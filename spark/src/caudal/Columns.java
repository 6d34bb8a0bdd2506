//! Spark's columns and rows converted to blocks of doubles.
package caudal;

import java.io.Serializable;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.ByteType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.DoubleType;
import org.apache.spark.sql.types.FloatType;
import org.apache.spark.sql.types.IntegerType;
import org.apache.spark.sql.types.LongType;
import org.apache.spark.sql.types.ShortType;
import org.apache.spark.sql.vectorized.ColumnVector;
import org.apache.spark.sql.vectorized.ColumnarBatch;

/** Floats and integers are widened, decimals rounded once, nulls become NaN. */
final class Columns implements Serializable {
    private static final long serialVersionUID = 1;
    private static final double TWO_63 = 9.223372036854775807E18;
    private final List<Column> columns;

    Columns(List<Column> columns) {
        this.columns = new java.util.ArrayList<>(columns);
    }

    /** Takes rows or columnar batches, as the scan hands them over. The block is the same object each time. */
    Iterator<Block> blocks(Iterator<?> scanned) {
        return new Blocks(scanned);
    }

    private final class Blocks implements Iterator<Block> {
        private final Iterator<?> scanned;
        private final Block block = new Block(columns.size(), Block.rows(columns.size()));
        private ColumnarBatch batch;
        private int at;

        Blocks(Iterator<?> scanned) {
            this.scanned = scanned;
        }

        @Override
        public boolean hasNext() {
            return batch != null || scanned.hasNext();
        }

        @Override
        public Block next() {
            block.rows = 0;
            Arrays.fill(block.inexact, 0);
            while (block.rows < block.capacity() && hasNext()) {
                if (batch != null) {
                    takeBatch();
                    continue;
                }
                Object next = scanned.next();
                if (next instanceof ColumnarBatch) {
                    batch = (ColumnarBatch) next;
                    at = 0;
                } else {
                    takeRow((InternalRow) next);
                }
            }
            return block;
        }

        private void takeBatch() {
            int count = Math.min(batch.numRows() - at, block.capacity() - block.rows);
            for (int c = 0; c < columns.size(); c++) {
                block.inexact[c] += convert(columns.get(c), batch.column(c), at, count, block.values[c], block.rows);
            }
            block.rows += count;
            at += count;
            if (at >= batch.numRows()) {
                batch = null;
            }
        }

        private void takeRow(InternalRow row) {
            for (int c = 0; c < columns.size(); c++) {
                Column column = columns.get(c);
                double value = row.isNullAt(c) ? Double.NaN : value(column, row, c);
                block.values[c][block.rows] = value;
                if (column.mayBeInexact() && !row.isNullAt(c)) {
                    block.inexact[c] += isInexact(column, row, c) ? 1 : 0;
                }
            }
            block.rows++;
        }
    }

    private static long convert(Column column, ColumnVector from, int at, int count, double[] to, int begin) {
        DataType type = column.read;
        long inexact = 0;
        if (type instanceof DoubleType) {
            System.arraycopy(from.getDoubles(at, count), 0, to, begin, count);
        } else if (type instanceof FloatType) {
            float[] values = from.getFloats(at, count);
            for (int i = 0; i < count; i++) {
                to[begin + i] = values[i];
            }
        } else if (type instanceof LongType) {
            long[] values = from.getLongs(at, count);
            for (int i = 0; i < count; i++) {
                to[begin + i] = values[i];
                inexact += isInexact(values[i]) && !from.isNullAt(at + i) ? 1 : 0;
            }
        } else if (type instanceof IntegerType) {
            int[] values = from.getInts(at, count);
            for (int i = 0; i < count; i++) {
                to[begin + i] = values[i];
            }
        } else {
            inexact = convertSlowly(column, from, at, count, to, begin);
        }
        if (from.hasNull()) {
            for (int i = 0; i < count; i++) {
                to[begin + i] = from.isNullAt(at + i) ? Double.NaN : to[begin + i];
            }
        }
        return inexact;
    }

    private static long convertSlowly(Column column, ColumnVector from, int at, int count, double[] to, int begin) {
        long inexact = 0;
        for (int i = 0; i < count; i++) {
            if (from.isNullAt(at + i)) {
                continue;
            }
            if (column.read instanceof DecimalType) {
                DecimalType type = (DecimalType) column.read;
                BigDecimal value = from.getDecimal(at + i, type.precision(), type.scale()).toJavaBigDecimal();
                to[begin + i] = value.doubleValue();
                inexact += column.mayBeInexact() && isInexact(value) ? 1 : 0;
            } else if (column.read instanceof ShortType) {
                to[begin + i] = from.getShort(at + i);
            } else if (column.read instanceof ByteType) {
                to[begin + i] = from.getByte(at + i);
            } else {
                to[begin + i] = half(from.getBinary(at + i));
            }
        }
        return inexact;
    }

    private static double value(Column column, InternalRow row, int c) {
        DataType type = column.read;
        if (type instanceof DoubleType) {
            return row.getDouble(c);
        }
        if (type instanceof FloatType) {
            return row.getFloat(c);
        }
        if (type instanceof LongType) {
            return row.getLong(c);
        }
        if (type instanceof IntegerType) {
            return row.getInt(c);
        }
        if (type instanceof ShortType) {
            return row.getShort(c);
        }
        if (type instanceof ByteType) {
            return row.getByte(c);
        }
        return type instanceof DecimalType ? decimal(column, row, c).doubleValue() : half(row.getBinary(c));
    }

    private static BigDecimal decimal(Column column, InternalRow row, int c) {
        DecimalType type = (DecimalType) column.read;
        return row.getDecimal(c, type.precision(), type.scale()).toJavaBigDecimal();
    }

    private static boolean isInexact(Column column, InternalRow row, int c) {
        return column.read instanceof LongType ? isInexact(row.getLong(c)) : isInexact(decimal(column, row, c));
    }

    /** Whether an integer is another one as a double. */
    static boolean isInexact(long value) {
        double converted = value;
        return converted >= TWO_63 || (long) converted != value;
    }

    static boolean isInexact(BigDecimal integer) {
        double converted = integer.doubleValue();
        return Double.isInfinite(converted) || new BigDecimal(converted).compareTo(integer) != 0;
    }

    /** A half-precision number of two bytes, the lower one first. */
    static double half(byte[] bytes) {
        int bits = (bytes[0] & 255) | (bytes[1] & 255) << 8;
        int exponent = bits >> 10 & 31;
        int fraction = bits & 1023;
        double size = exponent == 0 ? fraction * 0x1p-24
            : exponent < 31 ? Math.scalb(1024.0 + fraction, exponent - 25)
            : fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
        return (bits & 0x8000) == 0 ? size : -size;
    }
}
