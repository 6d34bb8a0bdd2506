//! Some rows of all processed columns, as doubles.
package caudal;

import java.io.Serializable;

/** A missing value is NaN. {@code inexact} counts, per column, integers that changed on their way to double. */
final class Block implements Serializable {
    private static final long serialVersionUID = 1;
    /** Cells of a block, where there are many columns; rows at most, so that a column stays in the cache beside its counters. */
    private static final int CELLS = 1 << 21;
    private static final int ROWS = 1 << 14;

    int rows;
    final double[][] values;
    final long[] inexact;

    Block(int columns, int capacity) {
        values = new double[columns][capacity];
        inexact = new long[columns];
    }

    /** Rows of a block of so many columns. */
    static int rows(int columns) {
        return Math.max(256, Math.min(ROWS, CELLS / Math.max(1, columns)));
    }

    int capacity() {
        return values.length == 0 ? ROWS : values[0].length;
    }
}
